"""`fabric-bo bench boards`: what tuned settings gain over fixed ones, over many boards; the board is the unit.

On each board an ordinary run (without early stops) is made with every sampler, and what it recommends after some trials
is compared with fixed FABRIC on prompts and seeds that were never used in it. Runs and measured settings are kept, so
that the benchmark goes on where it was left.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.bench.held_out import HeldOutJudge
from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.bench.over_boards import (
    BEST_PRESET,
    PLAIN,
    add_board_options,
    boards_of,
    fixed_arms,
    print_board,
    print_gains,
    row_of,
)
from experiments.config.parts import BoardKind
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from fabric.params import FabricParams
from optimizer.samplers.baselines import SAMPLERS

BEST_KNOWN = "best known"

_Board = tuple[RunConfig, int, BoardKind]  # with its number and kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add_board_options(parser)
    parser.add_argument("--sampler", choices=SAMPLERS, nargs="+", default=[SAMPLERS[0]])
    parser.add_argument("--trials", type=int, nargs="+", default=[15, 30], help="after how many to look")
    parser.add_argument("--workers", type=int, default=1, help="boards at once, a GPU each, placed by Ray")
    parser.add_argument("--output", type=Path, default=Path("runs/boards"), help="folder of the runs")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints each board as it is done, and what tuned settings gain over all of them.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, a configuration has no boards, or a run in the folder is another's.
    """
    check_ranges(options, {"trials": (1, None), "workers": (1, None)})
    rows = []
    for row in _rows(list(boards_of(options)), options):
        rows.append(row)
        print_board(row)
    found = {"trials": sorted(options.trials), "samplers": options.sampler, "rows": rows}
    arms = [tuned(sampler, trials) for sampler in found["samplers"] for trials in found["trials"]]
    print_gains(found, [(arm, over) for arm in arms for over in (BEST_PRESET, BEST_KNOWN, PLAIN)])
    keep_results("boards", add_arguments, options, found)
    return 0


def _rows(boards: list[_Board], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All arms on each board, in their order."""
    if options.workers == 1:
        for board in boards:
            yield _measure(*board, options)
        return
    # Takes seconds to import, and nobody else needs it.
    from experiments.run.ray_cluster import Cluster

    settings = {"sampler": options.sampler, "trials": options.trials, "output": options.output.resolve()}
    with Cluster(min(options.workers, len(boards))) as cluster:
        workers = cluster.place(_Worker, argparse.Namespace(**settings))
        yield from cluster.map(workers, lambda worker, board: worker.measure.remote(*board), boards)


class _Worker:
    """What Ray places on a GPU or on processors.

    Args:
        options: of the command.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def measure(self, config: RunConfig, board: int, kind: BoardKind) -> dict[str, Any]:
        """All arms on one board."""
        return _measure(config, board, kind, self.options)


def _measure(config: RunConfig, board: int, kind: BoardKind, options: argparse.Namespace) -> dict[str, Any]:
    """All arms on one board: values on its held-out prompts."""
    folder = options.output / f"{config.world_of_targets}-{board}-{kind}"
    looks = sorted(options.trials)
    plan = Plan.of(config)
    judge = HeldOutJudge(plan, folder / "held-out.json")
    arms = fixed_arms(plan, judge)
    known: FabricParams | None = None
    for sampler in options.sampler:
        changed = {"sampler": sampler, "trials": looks[-1], "output": str(folder / sampler)}
        done = optimize(Plan.of(check_config({**config.model_dump(mode="json"), **changed})))
        if known is None and (best := done.best_known()) is not None:
            known = best[1]
        arms |= {tuned(sampler, look): judge(done.recommended(look)[1]) for look in looks}
    if known is not None:
        arms[BEST_KNOWN] = judge(known)
    return row_of(plan, judge, arms)


def tuned(sampler: str, trials: int) -> str:
    """Name of the arm that a sampler found."""
    return f"{sampler}, {trials} trials"
