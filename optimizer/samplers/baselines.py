"""Samplers by name: ours, and Optuna's as baselines, all of which start from the same known settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from optimizer.encoding import Absent, FeatureMap, never
from optimizer.samplers.gp import GaussianProcessSampler
from optimizer.samplers.known_first import KnownFirst


def _tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `group`, which growing spaces need
        return TPESampler(seed=seed, multivariate=True, group=True)


_BASELINES: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "cma-es": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "optuna-gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "random": lambda seed: RandomSampler(seed=seed),
}

SAMPLERS = ("gp", *_BASELINES)
"""Names that `create_sampler` knows; the first is the default."""


class Baseline(KnownFirst):
    """Known settings first, then a sampler of Optuna's.

    Optuna's samplers keep generators in the process. Here each trial has a new one, seeded by its place, so that two
    workers never draw the same point and a resumed run does not repeat its first draws.

    Args:
        create: makes a sampler of a seed.
        first: settings of the first trials.
        seed: of everything random.
    """

    def __init__(
        self, create: Callable[[int], BaseSampler], first: Sequence[Mapping[str, Any]] = (), seed: int = 0
    ) -> None:
        super().__init__(first, seed)
        self.create = create

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that are proposed together."""
        return self.create(self.seed).infer_relative_search_space(study, trial)

    def propose(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution], place: int
    ) -> dict[str, Any]:
        """Settings of a trial after the known ones."""
        sampler = self.create(self.key("proposal", place))
        sampler.infer_relative_search_space(study, trial)  # TPE keeps its groups of parameters from here
        return sampler.sample_relative(study, trial, space)

    def draw(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution, place: int) -> Any:
        """A parameter that was not proposed."""
        return self.create(self.key(name, place)).sample_independent(study, trial, name, distribution)


def create_sampler(
    name: str = SAMPLERS[0],
    *,
    space: Mapping[str, BaseDistribution] | None = None,
    first: Sequence[Mapping[str, Any]] = (),
    absent: Absent = never,
    feature_map: FeatureMap | None = None,
    seed: int = 0,
) -> KnownFirst:
    """A sampler by name.

    Args:
        name: one of `SAMPLERS`.
        space: parameters that ours is to model; see `GaussianProcessSampler`. Baselines find their own.
        first: settings of the first trials, the same for all samplers.
        absent: what a parameter was in trials made before it existed; baselines cannot know.
        feature_map: what the model sees of points; baselines see the points.
        seed: of everything random.

    Raises:
        ValueError: no such name.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler: {name!r} is unknown; allowed: {', '.join(SAMPLERS)}")
    if name in _BASELINES:
        return Baseline(_BASELINES[name], first, seed)
    return GaussianProcessSampler(first=first, space=space, absent=absent, feature_map=feature_map, seed=seed)
