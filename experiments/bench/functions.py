"""`fabric-bo bench functions`: what samplers find on public test functions whose optimum is elsewhere for every seed.

Where an optimum stays in the middle, a sampler that likes the middle is rewarded for a habit. All samplers see the same
noise, and the same recommender reads their trials. What is found is kept, so that the benchmark goes on where it was
left.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
import torch
from botorch.test_functions.synthetic import (
    Ackley,
    Cosine8,
    Griewank,
    Levy,
    Powell,
    Rastrigin,
    Rosenbrock,
    StyblinskiTang,
    SyntheticTestFunction,
)
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from torch import Tensor
from torch.quasirandom import SobolEngine

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.files.atomic import atomic_write
from experiments.intervals import Difference, paired_difference
from fabric.seeding import generator_for
from optimizer.attributes import STANDARD_ERROR
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import recommend
from optimizer.samplers.baselines import SAMPLERS, create_sampler

NOISE = 0.1  # standard deviation, as a share of the gap between the optimum and the median of random points
_LEAST = 1e-3  # of the gap: what is nearer is as good as there
_RANDOM = 1024  # points, for their median


@dataclass(frozen=True)
class MovedFunction:
    """A test function on a cube around its optimum, which lies somewhere else in it for every seed.

    Attributes:
        make: of the function; whether it has a minimum or a maximum.
        dimensions: d.
        width: of the cube, in the function's own units.
        seed: of the place of the optimum, uniform between 0.1 and 0.9 in every direction.
    """

    make: Callable[[], SyntheticTestFunction]
    dimensions: int
    width: float
    seed: int

    @cached_property
    def _function(self) -> SyntheticTestFunction:
        return self.make()

    @cached_property
    def optimum(self) -> Tensor:
        """Its place in the unit cube, d."""
        place = torch.rand(self.dimensions, generator=generator_for("optimum", self.seed), dtype=torch.float64)
        return 0.1 + 0.8 * place

    def values(self, points: Tensor) -> Tensor:
        """Of points of the unit cube, B x d to B; the greatest is 0."""
        best = cast("Tensor", self._function.optimizers)[0].double()
        own = best + (points - self.optimum) * self.width
        return -(self._function.evaluate_true(own) - self._function.optimal_value).abs()

    @cached_property
    def usual(self) -> float:
        """The median of values of points that fill the cube."""
        points = SobolEngine(self.dimensions, scramble=True, seed=0).draw(_RANDOM, dtype=torch.float64)
        return float(self.values(points).median())

    def gap(self, params: Mapping[str, float]) -> float:
        """How much of the way from usual values to the optimum is left, 0 to 1 and more."""
        point = torch.tensor([[params[name] for name in self.space]], dtype=torch.float64)
        return float(self.values(point)) / self.usual

    @cached_property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters."""
        return {f"x{k:02d}": FloatDistribution(0.0, 1.0) for k in range(self.dimensions)}


FUNCTIONS: dict[str, Callable[[int], MovedFunction]] = {
    "ackley": lambda seed: MovedFunction(lambda: Ackley(8), 8, 30.0, seed),
    "levy": lambda seed: MovedFunction(lambda: Levy(8), 8, 10.0, seed),
    "rosenbrock": lambda seed: MovedFunction(lambda: Rosenbrock(8), 8, 4.0, seed),
    "griewank": lambda seed: MovedFunction(lambda: Griewank(10), 10, 200.0, seed),
    "rastrigin": lambda seed: MovedFunction(lambda: Rastrigin(8), 8, 4.0, seed),
    "styblinski-tang": lambda seed: MovedFunction(lambda: StyblinskiTang(10, bounds=[(-10, 10)] * 10), 10, 5.0, seed),
    "cosine": lambda seed: MovedFunction(lambda: Cosine8(bounds=[(-2, 2)] * 8), 8, 2.0, seed),
    "powell": lambda seed: MovedFunction(lambda: Powell(12), 12, 4.4, seed),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--function", choices=FUNCTIONS, nargs="+", default=list(FUNCTIONS))
    parser.add_argument("--sampler", choices=SAMPLERS, nargs="+", default=list(SAMPLERS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, help="seeds to develop on are others than those to report")
    parser.add_argument("--trials", type=int, nargs="+", default=[20, 40, 60], help="after how many to look")
    parser.add_argument("--output", type=Path, default=Path("runs/functions"), help="folder of what was found")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what is found by each sampler on each function, and by how much the first sampler is better.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"seeds": (2, None), "trials": (2, None), "first_seed": (0, None)})
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    looks = sorted(options.trials)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    found = {
        sampler: {
            name: [_kept(name, sampler, seed, looks, options.output) for seed in seeds] for name in options.function
        }
        for sampler in options.sampler
    }
    results = {"trials": looks, "seeds": options.seeds, "gaps": found}
    print_summary(results)
    keep_results("functions", add_arguments, options, results)
    return 0


def _kept(name: str, sampler: str, seed: int, looks: Sequence[int], folder: Path) -> list[float]:
    """Gaps that are left at each look, worked out once."""
    path = folder / f"{name}-{sampler}-{seed}.json"
    known: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not all(f"{look}" in known for look in looks):
        known |= {f"{look}": gap for look, gap in zip(looks, _gaps(name, sampler, seed, looks), strict=True)}
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(known), encoding="utf-8")
        print(f"{name}, {sampler}, seed {seed}: {[round(known[f'{look}'], 3) for look in looks]}", flush=True)
    return [known[f"{look}"] for look in looks]


def _gaps(name: str, sampler: str, seed: int, looks: Sequence[int]) -> list[float]:
    """Of what is recommended after so many trials."""
    function = FUNCTIONS[name](seed)
    study = optuna.create_study(direction="maximize", sampler=create_sampler(sampler, seed=seed))
    generator, encoding, gaps = generator_for("noise", name, seed), Encoding(function.space), []
    for number in range(looks[-1]):
        trial = study.ask(function.space)
        trial.set_user_attr(STANDARD_ERROR, NOISE)
        study.tell(trial, NOISE * float(torch.randn((), generator=generator)) - function.gap(trial.params))
        if number + 1 in looks:
            best = recommend(observe(study, study.trials, encoding)).number
            gaps.append(function.gap(study.trials[best].params))
    return gaps


def logarithms(results: Mapping[str, Any], sampler: str) -> NDArray[np.float64]:
    """log10 of the gaps that are left, functions and seeds x looks."""
    table = np.array([row for rows in results["gaps"][sampler].values() for row in rows], dtype=np.float64)
    return np.log10(np.maximum(table, _LEAST))


def lead(results: Mapping[str, Any], other: str) -> list[Difference]:
    """By how much the first sampler's gaps are smaller than another's, in powers of ten, at each look."""
    ours = next(iter(results["gaps"]))
    theirs, own = logarithms(results, other), logarithms(results, ours)
    return [paired_difference(theirs[:, look], own[:, look]) for look in range(own.shape[1])]


def print_summary(results: Mapping[str, Any]) -> None:
    """Prints means over functions and seeds, and what the first sampler is better by."""
    looks, (ours, *others) = results["trials"], results["gaps"]
    print(f"\nmean log10 of the gap left, {len(results['gaps'][ours])} functions, {results['seeds']} seeds each")
    print(f"{'':<12}" + "".join(f"{f'{look} trials':>12}" for look in looks))
    for sampler in results["gaps"]:
        print(f"{sampler:<12}" + "".join(f"{value:>12.3f}" for value in logarithms(results, sampler).mean(axis=0)))
    for other in others:
        for look, difference in zip(looks, lead(results, other), strict=True):
            print(f"{ours} ahead of {other} at {look} trials by {difference}, in {difference.wins:.0%} of pairs")
