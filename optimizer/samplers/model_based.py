"""What samplers with a model have in common: a design that fills the space, then the model's own points."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from botorch.exceptions.errors import BotorchError, ModelFittingError
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.encoding import Absent, Encoding, FeatureMap, never
from optimizer.observations import relative_space
from optimizer.samplers.known_first import KnownFirst

_log = logging.getLogger(__name__)
MODEL_ERRORS = (ArithmeticError, BotorchError, ModelFittingError, RuntimeError, ValueError)
"""What fitting a model of a study, and asking it, can come to."""


class ModelSampler(KnownFirst):
    """Known settings first, then a Sobol design, then points of a model.

    Args:
        first: settings of the first trials; parameters they do not name are drawn at random.
        design: Sobol points after them; see `design_size`.
        space: parameters to be modelled; by default those that all trials have and those that `absent` knows.
        absent: what a parameter was in trials made before it existed, by name; None where they say nothing.
        feature_map: what the model sees of points, where something better than the points themselves is known.
        seed: of everything random.
    """

    observed: ClassVar[Sequence[TrialState]] = (TrialState.COMPLETE, TrialState.PRUNED)
    """States of trials that the model learns from."""

    def __init__(
        self,
        *,
        first: Sequence[Mapping[str, Any]] = (),
        design: int | None = None,
        space: Mapping[str, BaseDistribution] | None = None,
        absent: Absent = never,
        feature_map: FeatureMap | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(first, seed)
        self.design = design
        self.space = None if space is None else dict(space)
        self.absent = absent
        self.feature_map = feature_map

    @abstractmethod
    def point(self, study: Study, trial: FrozenTrial, encoding: Encoding, place: int) -> Tensor | None:
        """The model's next point, d; None where it knows too little.

        Args:
            study: of the trial.
            trial: that runs.
            encoding: of the present space.
            place: of the trial after the known ones.
        """

    def _point(self, study: Study, trial: FrozenTrial, encoding: Encoding, place: int) -> Tensor | None:
        """The model's next point, or None where no model can be made: a study goes on whatever is in it."""
        try:
            return self.point(study, trial, encoding, place)
        except MODEL_ERRORS as error:
            reason = " ".join(str(error).split())[:200]
            _log.warning("trial %d: no model, so a point that fills the space (%s)", trial.number, reason)
            return None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that are proposed together."""
        if self.space is not None:
            return {name: distribution for name, distribution in self.space.items() if not distribution.single()}
        return relative_space(study.get_trials(deepcopy=False), self.absent, self.observed)

    def propose(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution], place: int
    ) -> dict[str, Any]:
        """Settings of a trial after the known ones."""
        encoding = Encoding(space, self.absent, self.feature_map)
        design = design_size(encoding.dimensions, len(self.first)) if self.design is None else self.design
        point = None if place < design else self._point(study, trial, encoding, place)
        return encoding.decode(sobol_point(encoding.dimensions, place, self.seed) if point is None else point)


def design_size(dimensions: int, known: int = 0) -> int:
    """Points that the model needs before it is asked: as many as dimensions, 4 to 8; the known ones are of them.

    Sobol points after 8 known settings cost a run of 30 trials a tenth of what it gains.
    """
    return max(0, min(8, max(4, dimensions)) - known)


def sobol_point(dimensions: int, place: int, seed: int) -> Tensor:
    """One point of a scrambled Sobol sequence, d.

    Args:
        dimensions: d.
        place: in the sequence.
        seed: of the scrambling.
    """
    engine = SobolEngine(dimensions, scramble=True, seed=seed)
    return engine.fast_forward(place).draw(1, dtype=torch.float64)[0]
