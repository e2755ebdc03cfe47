"""What is kept of a run's comparison is what the comparison found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.bench.kept import read_results
from experiments.bench.runs import main
from experiments.comparison.arms import Measured, arms_of
from experiments.comparison.result import Comparison, compared
from experiments.intervals import paired_difference
from fabric.params import FabricParams

SETTINGS = FabricParams(strength=1.0)


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Comparison]:
    """A folder `mine` with a comparison of random scores of 5 prompts, 2 rounds and 3 images."""
    generator = np.random.default_rng(0)
    presets = {"weak": SETTINGS, "strong": SETTINGS}
    arms = arms_of({"tuned": SETTINGS}, ("liked 1 alone", SETTINGS), presets, FabricParams(strength=0.0))
    scores = [generator.random((5, 2, 3)) + (arm.name == "strong") for arm in arms]
    measured = [Measured(arm, {"clip-target": table}, {}, [], 1.0) for arm, table in zip(arms, scores, strict=True)]
    found = compared("last", ["a star"] * 5, True, measured, {})
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps(found.to_dict()))
    return folder, found


def test_differences_are_kept_under_names_that_no_run_changes(run: tuple[Path, Comparison], tmp_path: Path) -> None:
    folder, found = run
    assert main([str(folder)], tmp_path) == 0
    kept = read_results("mine", tmp_path)
    assert kept["command"] == "make run CONFIG=experiments/configs/mine.yaml"
    assert kept["names"] == {
        "best preset": "strong",
        "best known": "best known setting (liked 1 alone)",
        "no feedback": "no feedback",
        "feedback taken out": "tuned, feedback taken out",
        "best of as many": "best of 6",
    }
    last = {measured.arm.name: measured.scores["clip-target"][:, -1].mean(axis=1) for measured in found.arms}
    assert kept["value"] == pytest.approx(last["tuned"].mean())
    for kind in ("best preset", "best known", "no feedback", "feedback taken out"):
        expected = paired_difference(last["tuned"], last[kept["names"][kind]])
        assert kept["better"][kind] == pytest.approx([expected.mean, expected.low, expected.high])


def test_a_run_that_was_not_compared_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)], tmp_path) == 2
    assert capsys.readouterr().err == f"error: run: {tmp_path} has no comparison; run fabric-bo compare first\n"
