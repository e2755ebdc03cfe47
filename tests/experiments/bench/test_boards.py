"""What is read off boards, and that runs on them go on where they were left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.bench.boards import tuned
from experiments.bench.kept import read_results
from experiments.bench.over_boards import BEST_PRESET, PLAIN, gains, value_of, worlds_of
from experiments.bench.tables import boards_tables
from experiments.cli import main

TUNED = tuned("gp", 30)


def _row(world: str, plain: float, presets: dict[str, float], found: float) -> dict[str, Any]:
    arms = {PLAIN: plain, **presets, TUNED: found, "best known": max(presets.values())}
    return {
        "world": world,
        "board": 4,
        "kind": "usual",
        "objective": "clip-target",
        "presets": list(presets),
        "arms": {name: {"clip-target": value, "other": -value} for name, value in arms.items()},
    }


FOUND = {
    "trials": [30],
    "samplers": ["gp"],
    "rows": [
        _row("emoji", 0.1, {"weak": 0.2, "strong": 0.5}, 0.6),
        _row("emoji", 0.1, {"weak": 0.4, "strong": 0.3}, 0.6),
        _row("scenes", 0.3, {"weak": 0.2, "strong": 0.1}, 0.1),
        _row("scenes", 0.3, {"weak": 0.2, "strong": 0.1}, 0.2),
    ],
}


def test_the_best_preset_is_the_best_of_its_board() -> None:
    assert [value_of(row, BEST_PRESET) for row in FOUND["rows"]] == [0.5, 0.4, 0.2, 0.2]  # type: ignore[attr-defined]
    assert value_of(FOUND["rows"][1], BEST_PRESET, "other") == -0.4  # type: ignore[index]


def test_gains_are_paired_over_boards() -> None:
    assert worlds_of(FOUND) == [None, "emoji", "scenes"]
    assert gains(FOUND, TUNED, BEST_PRESET).mean == pytest.approx((0.1 + 0.2 - 0.1 + 0.0) / 4)
    of_world = gains(FOUND, TUNED, PLAIN, "scenes")
    assert of_world.mean == pytest.approx(-0.15)
    assert of_world.pairs == 2


def test_the_table_has_a_row_for_each_board_and_a_column_for_each_world() -> None:
    table = boards_tables(FOUND)
    assert table.count("| emoji 4 | usual |") == 2
    assert "| gp, 30 trials over best preset | +0.050" in table
    assert "| all boards | emoji | scenes |" in table


@pytest.mark.slow
def test_runs_on_boards_go_on_where_they_were_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "scenes": {"count": 1, "seed": 0, "board": 0},
        "protocol": {"rounds": 1, "images": 1, "steps": 2, "size": [32, 32]},
        "space": {"strength": [0.05, 8, "log"], "weights": [0, 1]},
        "held_out": {"scenes": {"count": 2, "seed": 1000, "board": 0}},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    command = ["bench", "boards", "--config", str(path), "--boards", "4", "5", "--kinds", "usual", "one-wrong"]
    command += ["--sampler", "random", "--trials", "2", "3", "--output", str(tmp_path / "runs")]
    assert main(command) == 0
    first = capsys.readouterr().out
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*.png")}
    assert main([*command, "--results", str(tmp_path / "boards.json")]) == 0
    assert capsys.readouterr().out == first
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*.png")} == kept
    spread = [*command[:-1], str(tmp_path / "spread"), "--workers", "2"]
    assert main(spread) == 0
    assert capsys.readouterr().out == first
    results = read_results("boards", tmp_path)
    assert [(row["world"], row["board"], row["kind"]) for row in results["rows"]] == [
        ("scenes", 4, "usual"),
        ("scenes", 5, "one-wrong"),
    ]
    assert {"classifier-stated", "classifier-unstated", "clip-target"} == set(results["rows"][0]["arms"][PLAIN])
    assert "random, 3 trials" in boards_tables(results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--boards", "4"], "boards: [4]; allowed: 2 or more boards"),
        (["--trials", "0"], "trials: 0 is out of range; allowed: 1 or more"),
        (["--config", "{folder}/prompts.yaml"], "config: {folder}/prompts.yaml has no scenes; allowed: with scenes"),
    ],
)
def test_bad_options_are_one_clear_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.yaml").write_text("prompts: [a red star]\nobjective: clip-prompt\n")
    assert main(["bench", "boards", *(option.format(folder=tmp_path) for option in options)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message.format(folder=tmp_path)}")
    assert error.count("\n") == 1
