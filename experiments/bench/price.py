"""`fabric-bo bench price`: what closeness to a taste costs of the prompt, with and without a constraint, over boards.

On each board two ordinary runs are made (without early stops): one that seeks its objective alone, and one that keeps
to a constraint besides. Both recommendations are compared on prompts and seeds that were never used in them, by the
objective, by what the constraint is put on, and by classifiers that nothing is optimised on. Runs are kept and gone on
with.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.bench.held_out import HeldOutJudge, Values
from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.bench.over_boards import (
    BEST_PRESET,
    FOLDER,
    PLAIN,
    add_board_options,
    boards_of,
    fixed_arms,
    measures_of,
    print_board,
    print_gains,
    row_of,
)
from experiments.config.parts import BoardKind
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.run.optimize import optimize
from experiments.run.plan import Plan

ALONE, CONSTRAINED, AS_CLOSE = "objective alone", "under the constraint", "as close without it"
PAIRS = (
    (ALONE, PLAIN),
    (CONSTRAINED, PLAIN),
    (CONSTRAINED, ALONE),
    (CONSTRAINED, AS_CLOSE),
    (CONSTRAINED, BEST_PRESET),
    (BEST_PRESET, PLAIN),
)
"""What is compared. Where a constraint makes images less close, the price of both is compared at equal closeness."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add_board_options(parser)
    parser.set_defaults(config=[FOLDER / "bench.yaml"])
    parser.add_argument("--constraint", default="rahf-alignment", metavar="OBJECTIVE", help="what is kept to")
    about = "how much better than without feedback images must be in it; negative: how much they may be worse"
    parser.add_argument("--at-least", type=float, default=0.0, metavar="GAIN", help=about)
    parser.add_argument("--trials", type=int, default=30, help="of each run")
    parser.add_argument("--output", type=Path, default=Path("runs/price"), help="folder of the runs")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints each board as it is done, and what both runs gain and pay over all of them.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, a configuration has no boards, or a run in the folder is another's.
    """
    check_ranges(options, {"trials": (1, None)})
    rows = []
    for config, board, kind in boards_of(options):
        rows.append(_measure(config, board, kind, options))
        print_board(rows[-1])
    found = {"constraint": options.constraint, "at_least": options.at_least, "trials": options.trials, "rows": rows}
    print_gains(found, PAIRS, measures_of(found))
    keep_results("price", add_arguments, options, found)
    return 0


def _measure(config: RunConfig, board: int, kind: BoardKind, options: argparse.Namespace) -> dict[str, Any]:
    """All arms on one board: values on its held-out prompts."""
    folder = options.output / f"{config.world_of_targets}-{board}-{kind}"
    constraint = {"objective": options.constraint, "at_least": options.at_least}
    runs = {ALONE: [], CONSTRAINED: [constraint]}
    configs = {
        arm: check_config(
            {
                **config.model_dump(mode="json"),
                "trials": options.trials,
                "constraints": constraints,
                "output": str(folder / arm.replace(" ", "-")),
            }
        )
        for arm, constraints in runs.items()
    }
    plan = Plan.of(configs[CONSTRAINED])
    judge = HeldOutJudge(plan, folder / "held-out.json")
    arms = fixed_arms(plan, judge)
    arms |= {arm: judge(optimize(Plan.of(its)).recommended()[1]) for arm, its in configs.items()}
    arms[AS_CLOSE] = as_close(arms[PLAIN], arms[ALONE], arms[CONSTRAINED], judge.objective.name)
    return row_of(plan, judge, arms)


def as_close(plain: Values, alone: Values, constrained: Values, objective: str) -> Values:
    """What a part of the images made with what was found without the constraint, the others plain, are worth together.

    The part is such that by the objective they are worth as much as those under the constraint, or all of them where
    even so they are worth less.

    Args:
        plain: values of images without feedback, by measure.
        alone: of those with what was found without the constraint.
        constrained: of those under it.
        objective: the measure by which they are to be equal.
    """
    reach = alone[objective] - plain[objective]
    part = (constrained[objective] - plain[objective]) / reach if reach > 0 else 1.0
    part = min(max(part, 0.0), 1.0)
    return {name: plain[name] + part * (alone[name] - plain[name]) for name in plain}
