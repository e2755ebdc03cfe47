"""Stops a trial when it has little chance to be what is recommended.

A signed-rank test against the best trial, which is the luckiest, stops four in ten that are equally good. The model
knows how lucky the best was, and what to expect of a setting before it is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import Trial, TrialState

from optimizer.attributes import scores_of, without_replications
from optimizer.blocks import effects
from optimizer.encoding import Encoding
from optimizer.recommendation import FittedModel

_LEAST = 2  # prompts that must have been seen


@dataclass(frozen=True)
class EarlyStopping:
    """Decides from what other trials have told.

    Attributes:
        study: of the trials.
        fitted: the model of those that are finished.
        encoding: of their space.
        chance: of being better than the recommended setting, below which a trial stops.
    """

    study: Study
    fitted: FittedModel
    encoding: Encoding
    chance: float

    def stops(self, trial: Trial, scores: Mapping[str, float]) -> bool:
        """Whether a trial has seen enough.

        Args:
            trial: that runs.
            scores: of it so far, by block; see `optimizer.attributes.SCORES`.
        """
        point = self.encoding.encode(trial.params)
        if len(scores) < _LEAST or point is None:
            return False
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        others, replications = without_replications(self.study.get_trials(deepcopy=False, states=states))
        told = (scores_of(other, replications.get(other.number, ())) for other in others)
        values, variances = effects([*filter(None, told), scores])
        return self.fitted.chance_of_beating(point, float(values[-1]), float(variances[-1])) < self.chance
