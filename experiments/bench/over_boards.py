"""Measurements over boards: somebody's taste each, given as pictures of which some mislead. The board is the unit."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, get_args

import numpy as np

from experiments.bench.held_out import HeldOutJudge, Values
from experiments.config.parts import BoardKind
from experiments.config.read import check_config, read_config
from experiments.config.schema import RunConfig
from experiments.intervals import Difference, paired_difference
from experiments.run.plan import Plan

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = [FOLDER / "emoji.yaml", FOLDER / "embedded.yaml"]
PLAIN, BEST_PRESET = "no feedback", "best preset"
_SPOILT = 4  # boards, from 0, that settings and methods were chosen on


def add_board_options(parser: argparse.ArgumentParser) -> None:
    """Declares which boards are measured."""
    parser.add_argument("--config", type=Path, nargs="+", default=CONFIGS, help="YAML files, one for each world")
    parser.add_argument(
        "--boards", type=int, nargs="+", default=list(range(_SPOILT, _SPOILT + 6)), help="in each world"
    )
    parser.add_argument(
        "--kinds", choices=get_args(BoardKind), nargs="+", default=["usual"], help="of boards, by turns"
    )


def boards_of(options: argparse.Namespace) -> Iterator[tuple[RunConfig, int, BoardKind]]:
    """Each configuration on each board, with the board and its kind.

    Raises:
        ValueError: there are fewer than two boards, or a configuration has none.
    """
    if len(options.boards) < 2:
        raise ValueError(f"boards: {options.boards}; allowed: 2 or more boards")
    for path in options.config:
        config = read_config(path)
        if config.scenes is None or config.held_out.scenes is None:
            raise ValueError(f"config: {path} has no scenes; allowed: with scenes, and with held_out.scenes")
        for board, kind in zip(options.boards, cycle(options.kinds), strict=False):
            yield _on_board(config, board, kind), board, kind


def fixed_arms(plan: Plan, judge: HeldOutJudge) -> dict[str, Values]:
    """What no feedback and each preset are worth on a board's held-out prompts."""
    return {PLAIN: judge(plan.protocol.plain), **{name: judge(params) for name, params in plan.presets.items()}}


def row_of(plan: Plan, judge: HeldOutJudge, arms: Mapping[str, Values]) -> dict[str, Any]:
    """A board with what was measured on it.

    Args:
        plan: of a configuration on the board.
        judge: that measured.
        arms: values on the board's held-out prompts, those of `fixed_arms` among them.
    """
    scenes = plan.config.scenes
    assert scenes is not None, "the configuration is on a board"
    return {
        "world": plan.config.world_of_targets,
        "board": scenes.board,
        "kind": scenes.kind,
        "objective": judge.objective.name,
        "presets": list(plan.presets),
        "arms": dict(arms),
    }


def _on_board(config: RunConfig, board: int, kind: BoardKind) -> RunConfig:
    """The configuration on another board, with a seed of its own and without early stops."""
    values = config.model_dump(mode="json")
    for place in (values, values["held_out"]):
        place["scenes"] |= {"board": board, "kind": kind}
    values["protocol"]["prune"] = 0
    return check_config({**values, "seed": board})


def value_of(row: Mapping[str, Any], arm: str, measure: str | None = None) -> float:
    """Of an arm on a board: of its objective by default. The best preset is the best there, in its favour."""
    name = measure or row["objective"]
    if arm == BEST_PRESET:
        best = max(row["presets"], key=lambda preset: row["arms"][preset][row["objective"]])
        return float(row["arms"][best][name])
    return float(row["arms"][arm][name])


def gains(
    found: Mapping[str, Any], arm: str, over: str, world: str | None = None, measure: str | None = None
) -> Difference:
    """By how much an arm is better than another, over the boards of a world or of all; by its objective by default."""
    rows = [row for row in found["rows"] if world in (None, row["world"])]
    first, second = (np.array([value_of(row, name, measure) for row in rows]) for name in (arm, over))
    return paired_difference(first, second)


def measures_of(found: Mapping[str, Any]) -> Sequence[str]:
    """What was measured on all boards, the objective first."""
    first, *others = ([*row["arms"][PLAIN]] for row in found["rows"])
    return [name for name in first if all(name in other for other in others)]


def worlds_of(found: Mapping[str, Any]) -> Sequence[str | None]:
    """All boards together, and the boards of each world where there are several."""
    names = list(dict.fromkeys(row["world"] for row in found["rows"]))
    return [None, *names] if len(names) > 1 else [None]


def print_board(row: Mapping[str, Any]) -> None:
    """Prints the arms of a board, by its objective and whatever else was measured."""
    print(f"{row['world']}, board {row['board']} ({row['kind']}): {row['objective']} on held-out prompts")
    width = max(map(len, row["arms"])) + 2
    for name, values in row["arms"].items():
        others = "".join(f"{value:>22.3f} {other}" for other, value in values.items() if other != row["objective"])
        print(f"  {name:<{width}}{values[row['objective']]:>8.3f}{others}", flush=True)


def print_gains(
    found: Mapping[str, Any], pairs: Sequence[tuple[str, str]], measures: Sequence[str | None] = (None,)
) -> None:
    """Prints by how much the first of two arms is better than the second, over all boards and those of each world.

    Args:
        found: on all boards.
        pairs: of arms.
        measures: by which; by the objective alone by default.
    """
    print("\nmeans of paired differences over boards, with Student's 95 % intervals")
    for arm, over in pairs:
        for measure in measures:
            for world in worlds_of(found):
                by = "" if measure is None else f"{measure}, "
                print(f"{arm} over {over}, {by}{world or 'all boards'}: {gains(found, arm, over, world, measure)}")
