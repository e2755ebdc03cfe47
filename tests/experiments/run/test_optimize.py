"""`fabric-bo optimize` and `resume` on the embedded model, as small as can be: images of a quarter of its size."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState

from experiments.cli import main
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.run.early_stopping import EarlyStopping
from experiments.run.optimize import Run, optimize
from experiments.run.plan import Plan
from experiments.run.protocol import task_value
from experiments.run.stopping import finished
from experiments.run.storage import connect
from experiments.run.study import VERSIONS, open_study, read_study
from experiments.run.trials import ATTENTION, FAILURE, MADE, PARAMS, PLAIN, PROMPTS, ROUNDS, SEEDS, TIMES, Runner
from fabric.params import FabricParams
from objectives.base import ObjectiveError
from objectives.testing import sample_images
from optimizer.attributes import CONSTRAINT_SCORES, SCORES
from tests.processes import Child, command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("optimize")]

TINY = {
    "scenes": {"count": 1, "seed": 1},
    "protocol": {"rounds": 2, "images": 2, "steps": 2, "batch": 2, "size": [32, 32]},
    "space": {"strength": [0.05, 8, "log"], "guidance_scale": [1.5, 8]},
    "trials": 6,
    "replicate": 0,
}
_TWO_PROMPTS = {"count": 2, "seed": 1}


def _config(folder: Path, **changes: object) -> RunConfig:
    return check_config({**TINY, "output": str(folder), **changes})


def _write(path: Path, folder: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**TINY, "output": str(folder), **changes}))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return optimize(Plan.of(_config(tmp_path_factory.mktemp("run"), scenes=_TWO_PROMPTS)))


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
    part = optimize(Plan.of(_config(tmp_path, scenes=_TWO_PROMPTS, trials=3)))
    assert len(part.study.trials) == 3
    again = optimize(Plan.of(_config(tmp_path, scenes=_TWO_PROMPTS))).study
    _same_trials(again.trials, whole.study.trials)


def test_another_configuration_is_refused_and_the_difference_shown(tmp_path: Path) -> None:
    optimize(Plan.of(_config(tmp_path, trials=1)))
    with pytest.raises(ValueError, match=r"holds a run of another configuration: protocol.steps: 2 -> 3, seed: 0 -> 1"):
        optimize(Plan.of(_config(tmp_path, protocol={**TINY["protocol"], "steps": 3}, seed=1)))  # type: ignore[dict-item]


def test_a_failing_objective_stops_the_run_after_three_trials(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text("def bad(images, prompts): return 1 / 0")
    config = _config(tmp_path / "run", objective={"name": f"{plug_in}:bad"}, trials=2)
    with pytest.raises(ObjectiveError, match=r"objective bad: image 0 .*ZeroDivisionError"):
        optimize(Plan.of(config))
    plug_in.write_text("def bad(images, prompts): return [image.getpixel((0, 0))[0] for image in images]")
    done = optimize(Plan.of(config))
    states = [trial.state.name for trial in done.study.trials]
    assert states[-2:] == ["COMPLETE"] * 2


def test_a_trial_that_fails_is_not_the_run(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "from pathlib import Path\n"
        "def sometimes(images, prompts):\n"
        f"    calls = Path({str(tmp_path / 'calls')!r})\n"
        "    count = len(calls.read_text()) if calls.exists() else 0\n"
        "    calls.write_text('x' * (count + 1))\n"
        "    if 6 <= count < 9: raise RuntimeError('a bad day')\n"
        "    return [float(image.getpixel((0, 0))[0]) for image in images]\n"
    )
    done = optimize(Plan.of(_config(tmp_path / "run", objective={"name": f"{plug_in}:sometimes"}, trials=4)))
    states = [trial.state for trial in done.study.trials]
    assert states.count(TrialState.COMPLETE) == 4
    assert TrialState.FAIL in states
    strengths = [trial.user_attrs[PARAMS]["strength"] for trial in finished(done.study)]
    assert strengths == [max(0.05, params.strength) for params in done.plan.presets.values()][:4]


def test_a_batch_of_trials_that_fails_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, failures = Runner.run, iter(range(2))

    def flaky(
        self: Runner, study: optuna.Study, trials: Sequence[optuna.Trial], stopping: EarlyStopping | None
    ) -> dict[int, ObjectiveError]:
        if next(failures, None) is None:
            return run(self, study, trials, stopping)
        for trial in trials:
            study.tell(trial, state=TrialState.FAIL)
        return {trial.number: ObjectiveError("flaky", [float("nan")], {0: "a bad day"}) for trial in trials}

    monkeypatch.setattr(Runner, "run", flaky)
    done = optimize(Plan.of(_config(tmp_path, at_once=3, trials=3)))
    assert [trial.state.name for trial in done.study.trials] == ["FAIL"] * 6 + ["COMPLETE"] * 3


def test_a_bad_image_fails_its_own_trial_and_no_other_of_its_batch(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "from objectives.base import Objective\n"
        "class Faulty(Objective):\n"
        "    name = 'faulty'\n"
        "    def __call__(self, images, contexts):\n"
        "        return [self.score(image, context.group) for image, context in zip(images, contexts)]\n"
        "    def score(self, image, group):\n"
        "        return float('nan') if group == (1, 1) else float(image.getpixel((0, 0))[0])\n"
        "faulty = Faulty()\n"
    )
    done = optimize(Plan.of(_config(tmp_path / "run", objective=f"{plug_in}:faulty", at_once=3, trials=3)))
    states = [trial.state.name for trial in done.study.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]  # alone, the last is the first of its batch
    assert "faulty" in done.study.trials[1].user_attrs[FAILURE]
    assert "gave nan" in done.study.trials[1].user_attrs[FAILURE]


def test_constraints_are_measured_against_no_feedback_and_kept_by_what_is_recommended(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "import numpy as np\n"
        "def red(images, prompts): return [float(np.asarray(image)[..., 0].mean()) for image in images]\n"
        "def blue(images, prompts): return [float(np.asarray(image)[..., 2].mean()) for image in images]\n"
    )
    constraint = {"objective": f"{plug_in}:blue", "at_least": -1.5}
    config = _config(
        tmp_path / "run", objective=f"{plug_in}:red", constraints=[constraint], scenes=_TWO_PROMPTS, trials=7
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
    optimize(Plan.of(_config(tmp_path, trials=1)))
    smaller = {**TINY["protocol"], "batch": 1}  # type: ignore[dict-item]
    done = optimize(Plan.of(_config(tmp_path, trials=2, at_once=2, protocol=smaller, model={"offload": True})))
    assert len(finished(done.study)) == 2


def test_a_picture_that_was_replaced_is_another_run(tmp_path: Path) -> None:
    target = tmp_path / "target.png"
    first, second = sample_images(2)
    first.save(target)
    changes: dict[str, object] = {"scenes": None, "prompts": [{"prompt": "a red star", "targets": [str(target)]}]}
    optimize(Plan.of(_config(tmp_path / "run", trials=1, **changes)))
    optimize(Plan.of(_config(tmp_path / "run", trials=1, **changes)))
    second.save(target)
    with pytest.raises(ValueError, match=r"prompts.0.targets: other pictures than the run began with; allowed: "):
        optimize(Plan.of(_config(tmp_path / "run", trials=2, **changes)))


def test_given_images_have_weights_of_their_own_and_are_tried_alone(tmp_path: Path) -> None:
    space = {"strength": [0.05, 8, "log"], "weights": [0, 1]}
    scenes = {"count": 1, "board": 0}
    done = optimize(Plan.of(_config(tmp_path, scenes=scenes, space=space, trials=9)))
    images = done.plan.space.images
    assert len(images) == 4
    weights = [trial.user_attrs[PARAMS]["weights"] for trial in done.study.trials]
    assert [set(each.values()) for each in weights[:4]] == [{1.0}] * 4  # presets
    assert weights[4:8] == [{other: float(other == image) for other in images} for image in images]
    assert weights[8].keys() == set(images)
    assert weights[8] not in weights[:8]
    assert {trial.user_attrs[PARAMS]["strength"] for trial in done.study.trials[4:8]} == {0.8}


def test_several_objectives_and_trials_at_once(tmp_path: Path) -> None:
    both = _config(tmp_path, objective=["clip-target", "diversity"], scenes=_TWO_PROMPTS, at_once=3, trials=6)
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
    done = optimize(Plan.of(_config(tmp_path, stop=stop)))
    assert 1 <= len(finished(done.study)) <= most


def _run_until_killed(module: str, owner: str, name: str, when: int, config: str) -> int:
    """Runs until a method is called for so many times."""
    cls = getattr(importlib.import_module(module), owner)
    inner, calls = getattr(cls, name), []

    def until_killed(*args: object, **kwargs: object) -> object:
        calls.append(name)
        if len(calls) == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **kwargs)

    setattr(cls, name, until_killed)
    return main(["optimize", config])


_MOMENTS = {
    "before anything is generated": ("experiments.run.trials", "Runner", "plain", 1),
    "between two pictures": ("experiments.run.trials", "Runner", "_upload", 4),
    "written, but not told": ("optuna.study", "Study", "tell", 2),
}
_NO_HEARTBEAT = ("experiments.run.study", "Store", "alive", 2)


def _kill(config: Path, moment: tuple[str, str, str, int]) -> None:
    child = Child(_run_until_killed, *moment, str(config))
    assert child.wait() == -signal.SIGKILL, child.err[-2000:]


def test_a_run_that_is_killed_again_and_again_is_the_unbroken_run(whole: Run, tmp_path: Path) -> None:
    config = _write(tmp_path / "run.yaml", tmp_path / "run", scenes=_TWO_PROMPTS)
    for moment in _MOMENTS.values():
        _kill(config, moment)
    study = optimize(Plan.of(_config(tmp_path / "run", scenes=_TWO_PROMPTS))).study
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.FAIL}
    _same_trials(finished(study), whole.study.trials)


def test_a_run_that_is_killed_before_a_heartbeat_tries_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is given again once it counts as dead, when others were tried; at random they do not depend on it."""
    whole = optimize(Plan.of(_config(tmp_path / "whole", sampler="random", trials=4))).study.trials
    _kill(_write(tmp_path / "run.yaml", tmp_path / "run", sampler="random", trials=4), _NO_HEARTBEAT)
    monkeypatch.setattr("experiments.run.study._GRACE", 1)
    told = finished(optimize(Plan.of(_config(tmp_path / "run", sampler="random", trials=4))).study)
    assert len(told) == len(whole)
    _same_trials(sorted(told, key=_strength), sorted(whole, key=_strength))


def _strength(trial: FrozenTrial) -> float:
    return float(trial.params["strength"])


def _same_trials(ours: Sequence[FrozenTrial], others: Sequence[FrozenTrial]) -> None:
    for once, twice in zip(ours, others, strict=True):
        assert twice.params == pytest.approx(once.params, rel=1e-3)  # sums depend on where arrays lie in memory
        assert twice.value == pytest.approx(once.value, abs=0.02)


def test_a_trial_without_a_heartbeat_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.run.study._GRACE", 1)
    optimize(Plan.of(_config(tmp_path, trials=1))).study.ask()
    time.sleep(2)
    assert [trial.state.name for trial in optimize(Plan.of(_config(tmp_path, trials=2))).study.trials] == [
        "COMPLETE",
        "FAIL",
        "COMPLETE",
    ]


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    config = _write(tmp_path / "run.yaml", tmp_path / "run", trials=4)
    for child in [command("optimize", str(config)) for _ in range(2)]:
        assert child.wait() == 0, child.err[-2000:]
    study, _ = read_study(tmp_path / "run")
    done = finished(study)
    assert 4 <= len(done) <= 5  # the last may be asked for twice
    assert len({str(trial.params) for trial in done}) == len(done)


def test_a_run_that_was_never_begun_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no output of a run"):
        read_study(tmp_path)


@pytest.mark.parametrize("name", ["q?x", "p%20x", "a#b", "one & 'two'"])
def test_the_study_is_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    open_study(tmp_path / name, _config(tmp_path / name).model_dump(mode="json"))
    assert (tmp_path / name / "study.db").exists()
    assert read_study(tmp_path / name)[0].study_name == "fabric-bo"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_runs_that_share_a_storage_have_studies_of_their_own(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = (optimize(Plan.of(_config(tmp_path / name, storage=storage, trials=1))) for name in ("a", "b"))
    assert [len(done.study.trials) for done in (first, second)] == [1, 1]
    assert [read_study(tmp_path / name)[0].study_name for name in ("a", "b")] == ["a", "b"]
    joined = optimize(Plan.of(_config(tmp_path / "elsewhere", storage=storage, study="a", trials=2)))
    assert len(joined.study.trials) == 2
    assert len(read_study(tmp_path / "a")[0].trials) == 2


def test_a_run_from_before_runs_had_names_is_found(tmp_path: Path) -> None:
    old = _config(tmp_path, storage=f"sqlite:///{tmp_path / 'shared.db'}").model_dump(mode="json")
    del old["study"]
    open_study(tmp_path, old)
    study, values = read_study(tmp_path)
    assert study.study_name == values["study"] == "fabric-bo"


def test_versions_are_kept(whole: Run) -> None:
    assert whole.study.user_attrs[VERSIONS]["optuna"] == optuna.__version__
    assert whole.study.user_attrs[VERSIONS]["device"]


def test_the_study_is_in_wal_mode(whole: Run) -> None:
    storage = connect(f"sqlite:///{whole.plan.config.output / 'study.db'}")
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path / "run.yaml", tmp_path / "run", trials=2)
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
