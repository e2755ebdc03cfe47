"""`fabric-bo optimize` on the embedded model, as small as can be."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import yaml

from experiments.cli import main
from experiments.config import RunConfig, check_config
from experiments.optimize import finished, optimize
from fabric.params import PRESETS, FabricParams, preset
from objectives.scoring import ObjectiveError
from optimizer.observations import SCORES

TINY = {
    "scenes": {"count": 2, "seed": 1},
    "protocol": {"rounds": 2, "images": 2, "steps": 2, "batch": 2},
    "space": {"strength": [0.05, 8, "log"], "guidance_scale": [1.5, 8]},
    "trials": 6,
}


def _config(folder: Path, **changes: object) -> RunConfig:
    return check_config({**TINY, "output": str(folder), **changes})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> optuna.Study:
    return optimize(_config(tmp_path_factory.mktemp("run")))


def test_presets_are_tried_first(study: optuna.Study) -> None:
    for trial, name in zip(study.trials, PRESETS, strict=False):
        assert trial.user_attrs["params"]["guidance_scale"] == preset(name, 2).guidance_scale
        assert trial.user_attrs["params"]["strength"] == max(0.05, preset(name, 2).strength)


def test_everything_is_in_the_study(study: optuna.Study) -> None:
    assert len(finished(study)) == 6
    for trial in study.trials:
        scores = trial.user_attrs[SCORES]
        assert trial.value == pytest.approx(sum(scores.values()) / 2)
        assert [len(rounds) for rounds in trial.user_attrs["rounds"]] == [2, 2]
        assert trial.intermediate_values == {int(place): value for place, value in scores.items()}
        assert len(optuna.artifacts.get_all_artifact_meta(trial, storage=study._storage)) == 1
        FabricParams.from_dict(trial.user_attrs["params"])


def test_the_same_command_gives_the_same_study(study: optuna.Study, tmp_path: Path) -> None:
    part = optimize(_config(tmp_path, trials=3))
    assert len(part.trials) == 3
    whole = optimize(_config(tmp_path))
    assert [trial.params for trial in whole.trials] == [pytest.approx(trial.params, rel=1e-3) for trial in study.trials]
    assert [trial.value for trial in whole.trials] == pytest.approx([trial.value for trial in study.trials], abs=0.02)


def test_another_configuration_is_refused_and_the_difference_shown(tmp_path: Path) -> None:
    optimize(_config(tmp_path, trials=1))
    with pytest.raises(ValueError, match=r"holds a run of another configuration: protocol.steps: 2 -> 3, seed: 0 -> 1"):
        optimize(_config(tmp_path, protocol={**TINY["protocol"], "steps": 3}, seed=1))  # type: ignore[dict-item]


def test_a_failing_objective_stops_the_run_after_three_trials(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text("def bad(images, prompts): return 1 / 0")
    config = _config(tmp_path / "run", objective={"name": f"{plug_in}:bad"})
    with pytest.raises(ObjectiveError, match=r"objective bad: image 0 .*ZeroDivisionError"):
        optimize(config)
    plug_in.write_text("def bad(images, prompts): return [image.getpixel((0, 0))[0] for image in images]")
    study = optimize(config)
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 3 + ["COMPLETE"] * 6


def test_the_command_writes_the_recommended_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**TINY, "trials": 2, "output": str(tmp_path / "run")}))
    assert main(["optimize", str(path)]) == 0
    assert "recommended: trial" in capsys.readouterr().out
    FabricParams.from_yaml((tmp_path / "run" / "best.yaml").read_text())
    path.write_text("trials: x")
    assert main(["optimize", str(path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
