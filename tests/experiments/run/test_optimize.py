"""`fabric-bo optimize` and `resume` on the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from experiments.cli import main
from experiments.run.optimize import Run, optimize
from experiments.run.plain_scores import PLAIN
from experiments.run.plan import Plan
from experiments.run.protocol import task_value
from experiments.run.stopping import finished
from experiments.run.storage import connect
from experiments.run.study import VERSIONS, open_study, read_study
from experiments.run.trials import ATTENTION, MADE, PARAMS, PROMPTS, ROUNDS, SEEDS, TIMES
from fabric.params import FabricParams
from objectives.testing import sample_images
from optimizer.attributes import CONSTRAINT_SCORES, SCORES
from tests.experiments.run.tiny import TINY, TWO_PROMPTS, same_trials, tiny_config, write_tiny

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("optimize")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return optimize(Plan.of(tiny_config(tmp_path_factory.mktemp("run"), scenes=TWO_PROMPTS)))


def test_presets_are_tried_first_at_the_guidance_of_the_run(whole: Run) -> None:
    for trial, (name, params) in zip(whole.study.trials, whole.plan.presets.items(), strict=False):
        assert trial.user_attrs[PARAMS]["guidance_scale"] == 4, name
        assert trial.user_attrs[PARAMS]["strength"] == max(0.05, params.strength), name


def test_everything_is_in_the_study(whole: Run) -> None:
    assert len(finished(whole.study)) == 6
    plain = np.array(whole.study.user_attrs[PLAIN])
    assert plain.shape == (2, 1, 2, 2)  # tasks, objectives, rounds, images
    for trial in whole.study.trials:
        attrs = trial.user_attrs
        scores = np.array(attrs[ROUNDS])
        assert scores.shape == plain.shape
        gains = [task_value(scores[k, 0], "last") - task_value(plain[k, 0], "last") for k in range(2)]
        assert attrs[SCORES] == pytest.approx({"0": gains[0], "1": gains[1]})
        assert trial.value == pytest.approx(np.mean(gains))
        assert trial.intermediate_values == pytest.approx(dict(enumerate(gains)))
        assert np.array(attrs[SEEDS]).shape == np.array(attrs[PROMPTS]).shape == (2, 2, 2)
        assert len(set(np.array(attrs[SEEDS]).flatten())) == 8
        assert attrs[TIMES].keys() == {"generating", "scoring"}
        assert all(0 < share < 1 for task in attrs[ATTENTION] for share in task.values())
        assert [len(task) for task in attrs[ATTENTION]] == [2, 2]  # the best and the worst of the first round
        assert attrs[MADE] <= 4  # the first round is plain and was generated before
        kept = optuna.artifacts.get_all_artifact_meta(trial, storage=whole.study._storage)
        assert {each.filename for each in kept} == {
            f"prompt-0{p}-round-{r}-image-{k}.png" for p in (0, 1) for r in (1, 2) for k in (1, 2)
        }
        assert FabricParams.from_dict(attrs[PARAMS]) == whole.plan.space.params(trial.params)


def test_the_same_command_gives_the_same_study_and_goes_on_where_it_was_left(whole: Run, tmp_path: Path) -> None:
    part = optimize(Plan.of(tiny_config(tmp_path, scenes=TWO_PROMPTS, trials=3)))
    assert len(part.study.trials) == 3
    again = optimize(Plan.of(tiny_config(tmp_path, scenes=TWO_PROMPTS))).study
    same_trials(again.trials, whole.study.trials)


def test_another_configuration_is_refused_and_the_difference_shown(tmp_path: Path) -> None:
    optimize(Plan.of(tiny_config(tmp_path, trials=1)))
    with pytest.raises(ValueError, match=r"holds a run of another configuration: protocol.steps: 2 -> 3, seed: 0 -> 1"):
        optimize(Plan.of(tiny_config(tmp_path, protocol={**TINY["protocol"], "steps": 3}, seed=1)))  # type: ignore[dict-item]


def test_constraints_are_measured_against_no_feedback_and_kept_by_what_is_recommended(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "import numpy as np\n"
        "def red(images, prompts): return [float(np.asarray(image)[..., 0].mean()) for image in images]\n"
        "def blue(images, prompts): return [float(np.asarray(image)[..., 2].mean()) for image in images]\n"
    )
    constraint = {"objective": f"{plug_in}:blue", "at_least": -1.5}
    config = tiny_config(
        tmp_path / "run", objective=f"{plug_in}:red", constraints=[constraint], scenes=TWO_PROMPTS, trials=7
    )
    done = optimize(Plan.of(config))
    for trial in finished(done.study):
        lacking = trial.user_attrs[CONSTRAINT_SCORES][f"{plug_in}:blue"]
        assert trial.constraints == {f"{plug_in}:blue": pytest.approx(np.mean(list(lacking.values())))}
        shown = np.array(trial.user_attrs[ROUNDS])  # prompts x (objective, constraint) x rounds x images
        plain = np.array(done.study.user_attrs[PLAIN])[: len(shown)]
        gains = (shown - plain)[:, :, -1].mean(axis=2)
        assert list(lacking.values()) == pytest.approx((-1.5 - gains[:, 1]).tolist())
        assert trial.state == TrialState.PRUNED or trial.values == pytest.approx([gains[:, 0].mean()])
    best, _ = done.recommended()
    allowed = [setting.allowed for setting in done.fitted_model().settings]  # type: ignore[union-attr]
    assert best.allowed >= min(0.95, max(allowed))


def test_a_run_goes_on_with_what_has_no_effect_on_a_trial(tmp_path: Path) -> None:
    optimize(Plan.of(tiny_config(tmp_path, trials=1)))
    smaller = {**TINY["protocol"], "batch": 1}  # type: ignore[dict-item]
    done = optimize(Plan.of(tiny_config(tmp_path, trials=2, at_once=2, protocol=smaller, model={"offload": True})))
    assert len(finished(done.study)) == 2


def test_a_picture_that_was_replaced_is_another_run(tmp_path: Path) -> None:
    target = tmp_path / "target.png"
    first, second = sample_images(2)
    first.save(target)
    changes: dict[str, object] = {"scenes": None, "prompts": [{"prompt": "a red star", "targets": [str(target)]}]}
    optimize(Plan.of(tiny_config(tmp_path / "run", trials=1, **changes)))
    optimize(Plan.of(tiny_config(tmp_path / "run", trials=1, **changes)))
    second.save(target)
    with pytest.raises(ValueError, match=r"prompts.0.targets: other pictures than the run began with; allowed: "):
        optimize(Plan.of(tiny_config(tmp_path / "run", trials=2, **changes)))


def test_given_images_have_weights_of_their_own_and_are_tried_alone(tmp_path: Path) -> None:
    space = {"strength": [0.05, 8, "log"], "weights": [0, 1]}
    scenes = {"count": 1, "board": 0}
    done = optimize(Plan.of(tiny_config(tmp_path, scenes=scenes, space=space, trials=9)))
    images = done.plan.space.images
    assert len(images) == 4
    weights = [trial.user_attrs[PARAMS]["weights"] for trial in done.study.trials]
    assert [set(each.values()) for each in weights[:4]] == [{1.0}] * 4  # presets
    assert weights[4:8] == [{other: float(other == image) for other in images} for image in images]
    assert weights[8].keys() == set(images)
    assert weights[8] not in weights[:8]
    assert {trial.user_attrs[PARAMS]["strength"] for trial in done.study.trials[4:8]} == {0.8}


def test_several_objectives_and_trials_at_once(tmp_path: Path) -> None:
    both = tiny_config(tmp_path, objective=["clip-target", "diversity"], scenes=TWO_PROMPTS, at_once=3, trials=6)
    done = optimize(Plan.of(both))
    assert len(finished(done.study)) == 6
    assert {len(trial.values) for trial in done.study.trials} == {2}
    assert done.fitted_model() is None
    best, params = done.recommended()  # of the first objective
    assert params == done.plan.space.params(done.study.trials[best.number].params)
    assert best.low < best.mean < best.high


@pytest.mark.parametrize(
    ("stop", "most"), [({"images": 5}, 3), ({"minutes": 1e-6}, 1), ({"chance": 1.0, "margin": 9.0, "least": 3}, 3)]
)
def test_budgets_and_the_stopping_rule_end_a_run(tmp_path: Path, stop: dict[str, float], most: int) -> None:
    done = optimize(Plan.of(tiny_config(tmp_path, stop=stop)))
    assert 1 <= len(finished(done.study)) <= most


def test_a_run_that_was_never_begun_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no output of a run"):
        read_study(tmp_path)


@pytest.mark.parametrize("text", ["", "- a list", "text", 3000 * "[", "\x00"])
def test_a_run_whose_configuration_was_damaged_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match="is no output of a run"):
        read_study(tmp_path)


@pytest.mark.parametrize("name", ["q?x", "p%20x", "a#b", "one & 'two'"])
def test_the_study_is_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    open_study(tmp_path / name, tiny_config(tmp_path / name).model_dump(mode="json"))
    assert (tmp_path / name / "study.db").exists()
    assert read_study(tmp_path / name)[0].study_name == "fabric-bo"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_runs_that_share_a_storage_have_studies_of_their_own(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = (optimize(Plan.of(tiny_config(tmp_path / name, storage=storage, trials=1))) for name in ("a", "b"))
    assert [len(done.study.trials) for done in (first, second)] == [1, 1]
    assert [read_study(tmp_path / name)[0].study_name for name in ("a", "b")] == ["a", "b"]
    joined = optimize(Plan.of(tiny_config(tmp_path / "elsewhere", storage=storage, study="a", trials=2)))
    assert len(joined.study.trials) == 2
    assert len(read_study(tmp_path / "a")[0].trials) == 2


def test_a_run_from_before_runs_had_names_is_found(tmp_path: Path) -> None:
    old = tiny_config(tmp_path, storage=f"sqlite:///{tmp_path / 'shared.db'}").model_dump(mode="json")
    del old["study"]
    open_study(tmp_path, old)
    study, values = read_study(tmp_path)
    assert study.study_name == values["study"] == "fabric-bo"


def test_versions_are_kept(whole: Run) -> None:
    assert whole.study.user_attrs[VERSIONS]["optuna"] == optuna.__version__
    assert whole.study.user_attrs[VERSIONS]["device"]


def test_the_study_is_in_wal_mode(whole: Run) -> None:
    storage = connect(f"sqlite:///{whole.plan.config.output / 'study.db'}")
    assert isinstance(storage, RDBStorage)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=2)
    assert main(["optimize", str(path), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "images     at most 8: 4 without feedback, 2 for each trial" in told
    assert not (tmp_path / "run").exists()
    assert main(["optimize", str(path)]) == 0
    assert "recommended: trial" in capsys.readouterr().out
    FabricParams.from_yaml((tmp_path / "run" / "best.yaml").read_text())
    assert main(["resume", str(tmp_path / "run"), "--trials", "3"]) == 0
    assert len(finished(read_study(tmp_path / "run")[0])) == 3
    for wrong in (["resume", str(tmp_path)], ["optimize", str(path), "--trials", "0"]):
        assert main(wrong) == 2
        err = capsys.readouterr().err.strip().splitlines()[-1]
        assert err.startswith("error: ")
