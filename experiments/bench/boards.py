"""`fabric-bo bench boards`: what tuned settings gain over fixed ones, over many boards; the board is the unit.

A board is somebody's taste, given as pictures of which some mislead. On each an ordinary run (without early stops) is
made with every sampler, and what it recommends after some trials is compared with fixed FABRIC on prompts and seeds
that were never used in it. Runs and measured settings are kept, so that the benchmark goes on where it was left.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, get_args

import numpy as np

from experiments.bench.held_out import HeldOutJudge, Values
from experiments.bench.kept import add_results_option, command_line, write_results
from experiments.config.parts import BoardKind
from experiments.config.read import check_config, read_config
from experiments.config.schema import RunConfig
from experiments.intervals import Difference, paired_difference
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from fabric.params import FabricParams
from optimizer.samplers.baselines import SAMPLERS

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = [FOLDER / "emoji.yaml", FOLDER / "embedded.yaml"]
PLAIN, BEST_PRESET, BEST_KNOWN = "no feedback", "best preset", "best known"
_SPOILT = 4  # boards, from 0, that settings and methods were chosen on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--config", type=Path, nargs="+", default=CONFIGS, help="YAML files, one for each world")
    parser.add_argument(
        "--boards", type=int, nargs="+", default=list(range(_SPOILT, _SPOILT + 6)), help="in each world"
    )
    parser.add_argument(
        "--kinds", choices=get_args(BoardKind), nargs="+", default=["usual"], help="of boards, by turns"
    )
    parser.add_argument("--sampler", choices=SAMPLERS, nargs="+", default=[SAMPLERS[0]])
    parser.add_argument("--trials", type=int, nargs="+", default=[15, 30], help="after how many to look")
    parser.add_argument("--output", type=Path, default=Path("runs/boards"), help="folder of the runs")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints each board as it is done, and what tuned settings gain over all of them.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, a configuration has no boards, or a run in the folder is another's.
    """
    if min(options.trials) < 1 or len(options.boards) < 2:
        raise ValueError(
            f"trials, boards: {options.trials}, {options.boards}; allowed: 1 or more trials, 2 or more boards"
        )
    rows = []
    for path in options.config:
        config = read_config(path)
        if config.scenes is None or config.held_out.scenes is None:
            raise ValueError(f"config: {path} has no scenes; allowed: with scenes, and with held_out.scenes")
        for board, kind in zip(options.boards, cycle(options.kinds), strict=False):
            rows.append(_measure(config, board, kind, options))
            _print_board(rows[-1])
    found = {"trials": sorted(options.trials), "samplers": options.sampler, "rows": rows}
    _print_summary(found)
    if options.results is not None:
        write_results(options.results, command_line("boards", add_arguments, options), found)
    return 0


def _measure(config: RunConfig, board: int, kind: BoardKind, options: argparse.Namespace) -> dict[str, Any]:
    """All arms on one board: values on its held-out prompts."""
    folder = options.output / f"{config.world_of_targets}-{board}-{kind}"
    looks = sorted(options.trials)
    config = _on_board(config, board, kind)
    plan = Plan.of(config)
    judge = HeldOutJudge(plan, folder / "held-out.json")
    arms: dict[str, Values] = {PLAIN: judge(plan.protocol.plain)}
    arms |= {name: judge(params) for name, params in plan.presets.items()}
    known: FabricParams | None = None
    for sampler in options.sampler:
        changed = {"sampler": sampler, "trials": looks[-1], "output": str(folder / sampler)}
        done = optimize(Plan.of(check_config({**config.model_dump(mode="json"), **changed})))
        if known is None and (best := done.best_known()) is not None:
            known = best[1]
        arms |= {tuned(sampler, look): judge(done.recommended(look)[1]) for look in looks}
    if known is not None:
        arms[BEST_KNOWN] = judge(known)
    return {
        "world": config.world_of_targets,
        "board": board,
        "kind": kind,
        "objective": judge.objective.name,
        "presets": list(plan.presets),
        "arms": arms,
    }


def _on_board(config: RunConfig, board: int, kind: BoardKind) -> RunConfig:
    """The configuration on another board, with a seed of its own and without early stops."""
    values = config.model_dump(mode="json")
    for place in (values, values["held_out"]):
        place["scenes"] |= {"board": board, "kind": kind}
    values["protocol"]["prune"] = 0
    return check_config({**values, "seed": board})


def tuned(sampler: str, trials: int) -> str:
    """Name of the arm that a sampler found."""
    return f"{sampler}, {trials} trials"


def value_of(row: Mapping[str, Any], arm: str, measure: str | None = None) -> float:
    """Of an arm on a board: of its objective by default. The best preset is the best there, in its favour."""
    name = measure or row["objective"]
    if arm == BEST_PRESET:
        best = max(row["presets"], key=lambda preset: row["arms"][preset][row["objective"]])
        return float(row["arms"][best][name])
    return float(row["arms"][arm][name])


def gains(found: Mapping[str, Any], arm: str, over: str, world: str | None = None) -> Difference:
    """By how much an arm is better than another, over the boards of a world or of all."""
    rows = [row for row in found["rows"] if world in (None, row["world"])]
    first, second = (np.array([value_of(row, name) for row in rows]) for name in (arm, over))
    return paired_difference(first, second)


def worlds_of(found: Mapping[str, Any]) -> Sequence[str | None]:
    """All boards together, and the boards of each world where there are several."""
    names = list(dict.fromkeys(row["world"] for row in found["rows"]))
    return [None, *names] if len(names) > 1 else [None]


def _print_board(row: Mapping[str, Any]) -> None:
    print(f"{row['world']}, board {row['board']} ({row['kind']}): {row['objective']} on held-out prompts")
    for name, values in row["arms"].items():
        others = "".join(f"{value:>22.3f} {other}" for other, value in values.items() if other != row["objective"])
        print(f"  {name:<22}{values[row['objective']]:>8.3f}{others}", flush=True)


def _print_summary(found: Mapping[str, Any]) -> None:
    print("\nmeans of paired differences over boards, with Student's 95 % intervals")
    for sampler in found["samplers"]:
        for trials in found["trials"]:
            for over in (BEST_PRESET, BEST_KNOWN, PLAIN):
                for world in worlds_of(found):
                    where = world or "all boards"
                    difference = gains(found, tuned(sampler, trials), over, world)
                    print(f"{tuned(sampler, trials)} over {over}, {where}: {difference}")
