"""What single knobs gain over boards."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from experiments.bench.kept import read_results
from experiments.bench.knobs import read_change
from experiments.bench.over_boards import PLAIN, gains
from experiments.bench.tables import knobs_table
from experiments.cli import main


def test_a_change_names_knobs_and_values() -> None:
    assert read_change("outer=0.5") == {"outer": 0.5}
    assert read_change("outer=0,end=0.5") == {"outer": 0.0, "end": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outer", "change: 'outer' is no KNOB=VALUE"),
        ("inner=1", "change: 'inner' is no knob; allowed: strength, "),
        ("weights=1", "change: 'weights' is no knob"),
        ("outer=2", "outer: 2.0 is out of range; allowed: 0 to 1"),
    ],
)
def test_bad_changes_are_named(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "knobs", "--change", text]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.slow
def test_changes_are_compared_with_the_setting_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "scenes": {"count": 1, "seed": 0, "board": 0},
        "protocol": {"rounds": 1, "images": 1, "steps": 2, "size": [32, 32]},
        "held_out": {"scenes": {"count": 2, "seed": 1000, "board": 0}},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    command = ["bench", "knobs", "--config", str(path), "--boards", "4", "5", "--change", "strength=0", "outer=0"]
    command += ["--output", str(tmp_path / "kept"), "--results", str(tmp_path / "knobs.json")]
    assert main(command) == 0
    found = read_results("knobs", tmp_path)
    # Strength 0 is no feedback.
    assert gains(found, "paper-target, strength=0", PLAIN).mean == 0
    assert gains(found, "paper-target, outer=0", "paper-target").mean != 0
    first = capsys.readouterr().out
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert "| paper-target, outer=0 over paper-target | " in knobs_table(found)
