"""`fabric-bo bench samplers`: what each sampler finds on the embedded model, after so many trials, on held-out prompts.

Every sampler starts from the presets and has the same tasks, images and recommender; a run is an ordinary one (without
early stops), kept in a folder of its own, so that the benchmark goes on where it was left.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.bench.held_out import HeldOutJudge
from experiments.bench.kept import add_results_option, command_line, write_results
from experiments.config.read import check_config, read_config
from experiments.config.schema import RunConfig
from experiments.intervals import paired_difference
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from optimizer.samplers.baselines import SAMPLERS

CONFIG = Path(__file__).parents[1] / "configs" / "bench.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--config", type=Path, default=CONFIG, help="a YAML file; what is tried and held out")
    parser.add_argument("--sampler", choices=SAMPLERS, nargs="+", default=["gp", "random", "tpe"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, nargs="+", default=[30, 60], help="after how many to look")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"), help="folder of the runs")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what is found, seed by seed, and by how much the first sampler is better.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, or a run in the folder is of another configuration.
    """
    if options.seeds < 2 or min(options.trials) < 6:
        raise ValueError(
            f"seeds, trials: {options.seeds}, {options.trials}; allowed: 2 or more seeds, 6 or more trials"
        )
    config, looks = read_config(options.config), sorted(options.trials)
    found: dict[str, NDArray[np.float64]] = {}
    judge = HeldOutJudge(Plan.of(config))
    print(f"held-out {judge.objective.name} of the recommended setting; {len(judge.tasks)} prompts")
    print(f"{'sampler':<10}{'seed':>6}" + "".join(f"{f'{look} trials':>12}" for look in looks))
    for name in options.sampler:
        rows = []
        for seed in range(options.seeds):
            done = optimize(Plan.of(_config(config, name, seed, max(looks), options.output)))
            rows.append([judge(done.recommended(look)[1])[judge.objective.name] for look in looks])
            print(f"{name:<10}{seed:>6}" + "".join(f"{value:>12.4f}" for value in rows[-1]), flush=True)
        found[name] = np.array(rows)
    _print_summary(found, looks)
    if options.results is not None:
        command = command_line("samplers", add_arguments, options)
        write_results(options.results, command, _results(config, judge, found, looks))
    return 0


def _results(
    config: RunConfig,
    judge: HeldOutJudge,
    found: dict[str, NDArray[np.float64]],
    looks: list[int],
) -> dict[str, Any]:
    """What is kept; see `experiments.bench.kept`."""
    return {
        "board": None if config.scenes is None else config.scenes.board,
        "prompts": len(judge.tasks),
        "objective": judge.objective.name,
        "without_feedback": judge(judge.generator.protocol.plain)[judge.objective.name],
        "trials": looks,
        "values": {name: table.tolist() for name, table in found.items()},
    }


def _config(config: RunConfig, sampler: str, seed: int, trials: int, folder: Path) -> RunConfig:
    values = config.model_dump(mode="json")
    values |= {"sampler": sampler, "seed": seed, "trials": trials, "output": str(folder / f"{sampler}-{seed}")}
    values["protocol"]["prune"] = 0
    return check_config(values)


def _print_summary(found: dict[str, NDArray[np.float64]], looks: list[int]) -> None:
    first, *others = found
    print(f"\n{'mean (worst)':<16}" + "".join(f"{f'{look} trials':>20}" for look in looks))
    for name, table in found.items():
        cells = (f"{mean:.3f} ({worst:.3f})" for mean, worst in zip(table.mean(0), table.min(0), strict=True))
        print(f"{name:<16}" + "".join(f"{cell:>20}" for cell in cells))
    for name in others:
        for k, look in enumerate(looks):
            difference = paired_difference(found[first][:, k], found[name][:, k])
            print(
                f"{first} better than {name} at {look} trials by {difference} (95 %), on {difference.wins:.0%} of seeds"
            )
