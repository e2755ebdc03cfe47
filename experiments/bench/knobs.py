"""`fabric-bo bench knobs`: what it costs or gains to change single knobs of a fixed setting, over boards of two worlds.

For defaults that hold in general: nothing is optimised, and each change is compared with the setting as it is, on the
same prompts and seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.bench.held_out import HeldOutJudge, Values
from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.over_boards import PLAIN, add_board_options, boards_of, print_board, print_gains
from experiments.config.parts import BoardKind
from experiments.config.schema import RunConfig
from experiments.run.plan import Plan
from fabric.params import PRESETS, FabricParams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add_board_options(parser)
    fixed = [name for name in PRESETS if name != "none"]
    parser.add_argument("--base", choices=fixed, nargs="+", default=["paper-target"], help="settings to change")
    about = "one at a time; several at once with commas"
    parser.add_argument("--change", nargs="+", default=["outer=0", "outer=0.5"], metavar="KNOB=VALUE", help=about)
    parser.add_argument("--output", type=Path, default=Path("runs/knobs"), help="folder of what was measured")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints each board as it is done, and what each change gains over all of them.

    Returns:
        Exit code 0.

    Raises:
        ValueError: a change names no knob or a value out of its range, or a configuration has no boards.
    """
    changes = {text: read_change(text) for text in options.change}
    rows = []
    for config, board, kind in boards_of(options):
        rows.append(_measure(config, board, kind, changes, options))
        print_board(rows[-1])
    found = {"base": options.base, "changes": options.change, "rows": rows}
    print_gains(found, [(changed(base, change), base) for base in options.base for change in options.change])
    keep_results("knobs", add_arguments, options, found)
    return 0


def read_change(text: str) -> dict[str, float]:
    """Knobs and values of a change.

    Args:
        text: for example "outer=0.5", or "outer=0,end=0.5".

    Raises:
        ValueError: no such knob, or no value that it can have.
    """
    values = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise ValueError(f"change: {part!r} is no KNOB=VALUE; allowed: for example outer=0.5") from None
        if name not in FabricParams.bounds():
            raise ValueError(f"change: {name!r} is no knob; allowed: {', '.join(FabricParams.bounds())}")
    FabricParams.from_dict(values)
    return values


def changed(base: str, change: str) -> str:
    """Name of the arm of a changed setting."""
    return f"{base}, {change}"


def _measure(
    config: RunConfig,
    board: int,
    kind: BoardKind,
    changes: Mapping[str, Mapping[str, float]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """All arms on one board: values on its held-out prompts."""
    plan = Plan.of(config)
    judge = HeldOutJudge(plan, options.output / f"{config.world_of_targets}-{board}-{kind}.json")
    arms: dict[str, Values] = {PLAIN: judge(plan.protocol.plain)}
    for base in options.base:
        arms[base] = judge(plan.presets[base])
        for text, values in changes.items():
            arms[changed(base, text)] = judge(FabricParams.from_dict({**plan.presets[base].to_dict(), **values}))
    return {
        "world": config.world_of_targets,
        "board": board,
        "kind": kind,
        "objective": judge.objective.name,
        "arms": arms,
    }
