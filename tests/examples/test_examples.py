"""The examples run, as small as can be, and show what they say that they show."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from experiments.run.optimize import Run
from objectives import Objective
from objectives.testing import ObjectiveContract

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def _example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_listed_and_says_how_it_is_run(name: str) -> None:
    assert f"[{name}.py]({name}.py)" in (FOLDER / "README.md").read_text()
    assert f"python examples/{name}.py" in (FOLDER / f"{name}.py").read_text()
    assert f"_example({name!r})".replace("'", '"') in Path(__file__).read_text(), "has no test"


class TestContract(ObjectiveContract):
    """The class of the example keeps the contract of objectives."""

    def make(self) -> Objective:
        objective: Objective = _example("own_objective").Warmer()
        return objective


def test_warmth_is_red_minus_blue() -> None:
    pictures = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "white")]
    assert _example("own_objective").warmth(pictures, [""] * 3) == [1, -1, 0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    found: Run = _example("own_objective").main(tmp_path_factory.mktemp("run"), trials=2, steps=2)
    return found


@pytest.mark.slow
@pytest.mark.xdist_group("examples")
def test_own_objective_is_optimised(run: Run) -> None:
    assert [trial.state.is_finished() for trial in run.study.trials] == [True, True]
    assert run.plan.objectives[0].name == "warmth"
    best, params = run.recommended()
    assert best.number in (0, 1)
    assert 0 < params.strength <= 4


@pytest.mark.slow
@pytest.mark.xdist_group("examples")
def test_a_study_is_a_table(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    found = _example("study_in_pandas").main(run.plan.config.output)
    assert len(found) == 2 * 2  # trials and prompts
    values = [trial.value for trial in run.study.trials]
    assert found.groupby("number")["gain"].mean().tolist() == pytest.approx(values)
    assert "strength was tried from" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.xdist_group("examples")
def test_own_space_is_what_is_sought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _example("own_space").main(tmp_path, trials=2, steps=2)
    sought = {name for trial in run.study.trials for name in trial.params}
    assert {name for name in sought if not name.startswith("weight")} == {"strength", "neg_scale", "start"}
    assert len([name for name in sought if name.startswith("weight")]) == 4
    _, params = run.recommended()
    assert (params.end, params.guidance_scale) == (0.9, 5)
    assert "strength: 0.1 to 4, by its logarithm" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.xdist_group("examples")
def test_no_setting_of_the_front_is_beaten_in_both_objectives(tmp_path: Path) -> None:
    front = list(_example("two_objectives").main(tmp_path, trials=3, steps=2))
    means = np.array([[objective.mean for objective in expected] for expected in front])
    assert means.shape[1] == 2
    assert not [a for a in means for b in means if np.all(a < b)]


@pytest.mark.slow
@pytest.mark.xdist_group("examples")
def test_a_pipeline_of_ones_own_is_steered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = _example("own_pipeline").main(tmp_path, steps=4)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures) == 5
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"{number}.png" for number in range(5)]
    said = capsys.readouterr().out
    assert "strength 0: the liked picture has up to 0% of the attention" in said


@pytest.mark.slow
def test_the_sampler_comes_near_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    example = _example("sampler_in_any_study")
    recommended = example.main(trials=14)
    assert example.truth(**recommended.params) > 0.8  # of 1; noise has a standard deviation of 0.3
    assert example.truth(0.3, 10) == 1
    assert capsys.readouterr().out.startswith("recommended: ")
