from __future__ import annotations

import pytest

from experiments.cli import main

pytestmark = pytest.mark.slow


def test_every_round_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "studio", "--rounds", "3", "--steps", "2", "--images", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["round", "1", "2", "3", "median"]
    assert [line[1] for line in lines[1:4]] == ["0", "2", "4"]  # references
    assert all(float(line[2]) > 0 for line in lines[1:4])


def test_too_few_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "studio", "--rounds", "2"]) == 2
    assert "rounds: 2" in capsys.readouterr().err
