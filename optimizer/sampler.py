"""An Optuna sampler for few, noisy and expensive trials, whose space may grow on the way.

    study = optuna.create_study(sampler=GaussianProcessSampler(seed=0), direction="maximize")

What it proposes depends on the study and its seed alone: nothing is kept between trials or processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.acquisition import propose
from optimizer.observations import Absent, Encoding, never, observe, pending, relative_space


class GaussianProcessSampler(BaseSampler):
    """Known settings first, then a Sobol design, then a Gaussian process that knows its noise.

    Trials state the standard error of their value in the user attribute `STANDARD_ERROR` of `optimizer.observations`;
    without it the noise is learnt. Trials that run at the same time count as pending.

    Args:
        first: settings of the first trials; parameters they do not name are drawn at random.
        design: Sobol points after them; by default as many as dimensions, 4 to 8.
        space: parameters to be modelled; by default those that all trials have and those that `absent` knows.
        absent: what a parameter was in trials made before it existed, by name; None where they say nothing.
        seed: of everything random.
    """

    def __init__(
        self,
        *,
        first: Sequence[Mapping[str, Any]] = (),
        design: int | None = None,
        space: Mapping[str, BaseDistribution] | None = None,
        absent: Absent = never,
        seed: int = 0,
    ) -> None:
        self.first = [dict(settings) for settings in first]
        self.design = design
        self.space = None if space is None else dict(space)
        self.absent = absent
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that are proposed together."""
        if self.space is not None:
            return {name: distribution for name, distribution in self.space.items() if not distribution.single()}
        return relative_space(study.get_trials(deepcopy=False), self.absent)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Settings of a trial; what it leaves out is drawn by `sample_independent`."""
        if trial.number < len(self.first):
            return {name: value for name, value in self.first[trial.number].items() if name in search_space}
        if not search_space:
            return {}
        encoding = Encoding(search_space, self.absent)
        trials = study.get_trials(deepcopy=False)
        seen = observe(study, trials, encoding)
        design = min(8, max(4, encoding.dimensions)) if self.design is None else self.design
        place = trial.number - len(self.first)
        if place < design or len(seen.Y) < 2:
            return encoding.decode(self._sobol(encoding.dimensions, place))
        point = propose(seen, pending(trials, encoding, trial.number), self._key("proposal", trial.number))
        return encoding.decode(point)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter that is not modelled yet: as `first` says, else at random."""
        if trial.number < len(self.first) and param_name in self.first[trial.number]:
            return self.first[trial.number][param_name]
        random = RandomSampler(seed=self._key(param_name, trial.number))
        return random.sample_independent(study, trial, param_name, param_distribution)

    def _sobol(self, dimensions: int, place: int) -> Tensor:
        engine = SobolEngine(dimensions, scramble=True, seed=self.seed)
        return engine.fast_forward(place).draw(1, dtype=torch.float64)[0]

    def _key(self, *parts: object) -> int:
        """A seed that depends on what it is for."""
        text = "\n".join(map(str, (self.seed, *parts)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
