"""`fabric-bo bench optimizer`: time per proposal, and what is found on noisy test functions, against Optuna's samplers.

All samplers see the same noise (one stream for each function and seed), and the same recommender reads their trials:
the evaluated point of the best posterior mean of a Gaussian process that knows the noise.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import torch
from botorch.test_functions.synthetic import Hartmann
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from torch import Tensor

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.intervals import mean_interval
from fabric.seeding import generator_for
from optimizer.attributes import STANDARD_ERROR
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import recommend
from optimizer.samplers.baselines import SAMPLERS, create_sampler

NOISE = 0.1  # standard deviation, as a share of a function's range
_GROWS_AT = 15


@dataclass(frozen=True)
class Problem:
    """A function on the unit cube whose maximum is known.

    Attributes:
        name: of it.
        dimensions: d.
        value: of a point.
        best: the maximum.
        worst: the minimum, about.
        later: parameters that are not there in the first 15 trials, and are 0 in them.
    """

    name: str
    dimensions: int
    value: Callable[[Tensor], float]
    best: float
    worst: float = 0.0
    later: int = 0

    def space(self, number: int) -> dict[str, BaseDistribution]:
        """Parameters that trial `number` has."""
        there = self.dimensions - (self.later if number < _GROWS_AT else 0)
        return {f"x{k:02d}": FloatDistribution(0.0, 1.0) for k in range(there)}

    def truth(self, params: dict[str, float]) -> float:
        """The value without noise; parameters that are not there are 0."""
        point = [params.get(f"x{k:02d}", 0.0) for k in range(self.dimensions)]
        return self.value(torch.tensor(point, dtype=torch.float64))


def _hartmann(x: Tensor) -> float:
    return float(Hartmann(6, negate=True, dtype=torch.float64)(x[:6]))


def _plateau(x: Tensor) -> float:
    """Flat but for a quarter of the cube in each of three directions; the other seven do not matter."""
    near = (1 - 4 * (x[:3] - torch.tensor([0.3, 0.7, 0.5])).abs()).clamp(min=0)
    return float(near.sum() / 3 + near.prod())


def _growing(x: Tensor) -> float:
    """Hartmann's function of what is there from the start, and two late parameters that help up to a point."""
    return _hartmann(x[:6]) + float((x[8:] * (1.4 - x[8:])).sum())


PROBLEMS = {
    "hartmann": Problem("Hartmann 6 in 12", 12, _hartmann, 3.322),
    "plateau": Problem("plateau in 10", 10, _plateau, 2.0),
    "growing": Problem("growing from 8 to 10", 10, _growing, 3.322 + 2 * 0.49, later=2),
}

OURS = SAMPLERS[0]


def _sampler(name: str, seed: int) -> BaseSampler:
    return create_sampler(name, absent=lambda parameter: 0.0, seed=seed)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--part", choices=["time", "quality"], nargs="+", default=["time", "quality"])
    parser.add_argument("--problem", choices=PROBLEMS, nargs="+", default=list(PROBLEMS))
    parser.add_argument("--sampler", choices=SAMPLERS, nargs="+", default=list(SAMPLERS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, nargs="+", default=[20, 40, 60], help="after how many to look")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[8, 12, 20])
    parser.add_argument("--observations", type=int, nargs="+", default=[25, 50, 100, 200])
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the tables.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"seeds": (2, None), "trials": (2, None), "dimensions": (6, None), "observations": (2, None)})
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[str, Any] = {}
    if "time" in options.part:
        found["time"] = _times(options.dimensions, options.observations)
    if "quality" in options.part:
        found["quality"] = {
            name: _quality(PROBLEMS[name], options.sampler, options.seeds, sorted(options.trials))
            for name in options.problem
        }
    keep_results("optimizer", add_arguments, options, found)
    return 0


def _times(dimensions: list[int], observations: list[int]) -> dict[str, Any]:
    """Prints seconds per proposal; returns them by dimensions, then by trials."""
    found: dict[str, list[list[float]]] = {"one": [], "four": []}
    print(f"seconds to propose one and four, {torch.get_num_threads()} threads, median of 3")
    print(f"{'d':>4}{'trials':>8}{'one':>8}{'four':>8}")
    for d in dimensions:
        for row in found.values():
            row.append([])
        for count in observations:
            one, four = map(statistics.median, zip(*(_time_to_ask(d, count, seed) for seed in range(3)), strict=True))
            found["one"][-1].append(one)
            found["four"][-1].append(four)
            print(f"{d:>4}{count:>8}{one:>8.2f}{four:>8.2f}", flush=True)
    return {"threads": torch.get_num_threads(), "dimensions": dimensions, "trials": observations, **found}


def _time_to_ask(dimensions: int, count: int, seed: int) -> tuple[float, float]:
    """Seconds for one proposal and for four, after `count` trials of which half are near the best."""
    problem = Problem("timing", dimensions, _hartmann, 3.322)
    generator = generator_for("timing", dimensions, count, seed)
    study = optuna.create_study(direction="maximize", sampler=_sampler(OURS, seed))
    points = torch.rand(count, dimensions, generator=generator)
    points[count // 2 :] = 0.4 + 0.1 * points[count // 2 :]
    for point in points.tolist():
        params = dict(zip(problem.space(0), point, strict=True))
        noise = 0.33 * float(torch.randn((), generator=generator))
        study.add_trial(
            optuna.create_trial(
                params=params,
                distributions=problem.space(0),
                value=problem.truth(params) + noise,
                user_attrs={STANDARD_ERROR: 0.33},
            )
        )
    times = []
    for _ in range(4):
        began = time.perf_counter()
        study.ask(problem.space(0))
        times.append(time.perf_counter() - began)
    return times[0], sum(times)


def _quality(problem: Problem, names: list[str], seeds: int, looks: list[int]) -> dict[str, Any]:
    """Prints what each sampler finds on a problem; returns medians and worst, by sampler."""
    print(f"\n{problem.name}: true value of the recommended point, best {problem.best:.2f}, {seeds} seeds")
    print(f"{'':<12}" + "".join(f"{f'{look} trials':>12}" for look in looks) + f"{'worst':>9}{f'{OURS} better by':>28}")
    found: dict[str, NDArray[np.float64]] = {}
    kept = {}
    for name in names:
        found[name] = np.array([_recommended(problem, _sampler(name, seed), seed, looks) for seed in range(seeds)])
        kept[name] = _summary(found, name)
        medians = "".join(f"{value:>12.2f}" for value in kept[name]["medians"])
        better = "{:.2f} [{:.2f}, {:.2f}]".format(*kept[name]["behind"]) if "behind" in kept[name] else ""
        print(f"{name:<12}{medians}{kept[name]['worst']:>9.2f}{better:>28}", flush=True)
    return {"name": problem.name, "best": problem.best, "trials": looks, "seeds": seeds, "samplers": kept}


def _summary(found: dict[str, NDArray[np.float64]], name: str) -> dict[str, Any]:
    """Medians by look, the worst seed at the last, and by how much ours is better there, with its 95 % interval."""
    summary = {"medians": np.median(found[name], axis=0).tolist(), "worst": float(found[name][:, -1].min())}
    if name != OURS and OURS in found:
        summary["behind"] = list(mean_interval((found[OURS] - found[name])[:, -1]))
    return summary


def _recommended(problem: Problem, sampler: BaseSampler, seed: int, looks: list[int]) -> list[float]:
    """True values of what is recommended after so many trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    generator = generator_for("noise", problem.name, seed)
    spread = NOISE * (problem.best - problem.worst)
    values = []
    for number in range(max(looks)):
        trial = study.ask(problem.space(number))
        trial.set_user_attr(STANDARD_ERROR, spread)
        study.tell(trial, problem.truth(trial.params) + spread * float(torch.randn((), generator=generator)))
        if number + 1 in looks:
            encoding = Encoding(problem.space(number), lambda name: 0.0)
            best = recommend(observe(study, study.trials, encoding)).number
            values.append(problem.truth(study.trials[best].params))
    return values
