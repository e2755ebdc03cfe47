"""The model of an objective: of values, of values for which a score stands in, or of what people chose."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import TypeAlias, cast

from botorch.models import SingleTaskGP
from torch import Tensor

from optimizer.gp import fit_gp
from optimizer.observations import Observations
from optimizer.preference import PreferenceGP, fit_preference
from optimizer.stand_in import StandInGP, fit_stand_in

Surrogate: TypeAlias = SingleTaskGP | StandInGP | PreferenceGP
"""A model with a posterior of one outcome, higher is better."""


def fit_surrogate(observations: Observations) -> Surrogate:
    """A Gaussian process of the values of one objective; of utility where people chose.

    Args:
        observations: at least one.
    """
    X, Y, Yvar, features = observations.X, observations.Y, observations.Yvar, observations.features
    if observations.preferences is not None:
        return fit_preference(observations.preferences, features)
    if (known := observations.stand_in) is not None and len(Y) > 1:
        return fit_stand_in(X, Y, Yvar, known.own, fit_gp(known.X, known.scores, None, features), features)
    return fit_gp(X, Y, Yvar, features)


def trial_error(model: Surrogate, observations: Observations) -> float:
    """Standard error of what a trial says of its setting, as is usual among trials; in units of the model's outcome.

    The median of the standard errors that trials state; where they state none, the noise that the model learnt; where
    people chose, the luck of as many images as a trial usually had judged.
    """
    if observations.preferences is not None:
        luck = float(cast("Tensor", model.luck))
        return math.sqrt(luck / median(Counter(observations.preferences.numbers).values()))
    if observations.Yvar is not None:
        return float(observations.Yvar.median().sqrt())
    of_values = model.rest if isinstance(model, StandInGP) else model
    spread = float(observations.Y.std()) if len(observations.Y) > 1 else 1.0  # outcomes are standardised
    return float(cast("SingleTaskGP", of_values).likelihood.noise.detach().mean().sqrt()) * spread
