"""What is read off simulated sessions, and that sessions of an arm go on where they were left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.bench.artist import Play, print_summary, summary
from experiments.bench.kept import read_results
from experiments.bench.tables import artist_tables
from experiments.cli import main

pytestmark = pytest.mark.slow

CLOSENESS = np.array([[[0.1, 0.5], [0.7, 0.2], [0.6, 0.9]], [[0.3, 0.2], [0.2, 0.1], [0.4, 0.1]]])
ERRORS = np.array([[[5, 4], [3, 5], [5, 1]], [[2, 5], [5, 5], [0, 5]]], dtype=np.float64)
PLAY = Play(CLOSENESS, ERRORS)


def test_the_best_so_far_and_its_errors() -> None:
    assert PLAY.best.tolist() == [[0.5, 0.7, 0.9], [0.3, 0.3, 0.4]]
    assert PLAY.errors_of_best.tolist() == [[4, 3, 1], [2, 2, 0]]


@pytest.mark.parametrize(("level", "rounds"), [(0.3, [1, 1]), (0.6, [2, 4]), (0.35, [1, 3]), (2.0, [4, 4])])
def test_rounds_to_a_level(level: float, rounds: list[int]) -> None:
    assert PLAY.rounds_to(level).tolist() == rounds


def test_the_level_is_the_median_of_the_best_preset(capsys: pytest.CaptureFixture[str]) -> None:
    worse = Play(CLOSENESS - 0.2, ERRORS)
    weak = Play(CLOSENESS - 0.3, ERRORS)
    print_summary(summary({"agent": PLAY, "none": worse, "weak": weak, "strong": worse}, ["weak", "strong"]))
    said = capsys.readouterr().out
    assert "best preset: strong" in said
    assert "level: 0.450" in said  # of 0.7 and 0.2
    assert "agent against weak" in said
    assert "closer by +0.300" in said


def test_sessions_go_on_where_they_were_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "artist", "--targets", "2", "--rounds", "2", "--steps", "2", "--images", "2"]
    command += ["--presets", "repo-eval", "--output", str(tmp_path)]
    assert main(command) == 0
    first = capsys.readouterr().out
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert main([*command, "--results", str(tmp_path / "artist.json")]) == 0
    assert capsys.readouterr().out == first
    assert "| fixed FABRIC, repo-eval |" in artist_tables(read_results("artist", tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == kept
