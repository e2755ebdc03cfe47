from __future__ import annotations

from pathlib import Path

import pytest

from experiments.bench.kept import read_results
from experiments.bench.tables import studio_table
from experiments.cli import main

pytestmark = pytest.mark.slow


def test_every_round_is_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rounds", "3", "--steps", "2", "--images", "2", "--results", str(tmp_path / "studio.json")]
    assert main(["bench", "studio", *options]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["round", "1", "2", "3", "median"]
    assert [line[1] for line in lines[1:4]] == ["0", "2", "4"]  # references
    assert all(float(line[2]) > 0 for line in lines[1:4])
    assert f"| {lines[4][1]} s |" in studio_table(read_results("studio", tmp_path))


def test_too_few_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "studio", "--rounds", "2"]) == 2
    assert "rounds: 2" in capsys.readouterr().err
