"""What a study knows, as tensors: the only place where trials are read.

Notation:
    n: observations, d: dimensions of the encoded space, m: objectives.
    X: n x d in [0, 1], Y: n x m (higher is better), Yvar: n x m.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

STANDARD_ERROR = "fabric-bo:standard-error"
"""User attribute of a trial: the standard error of its value, a number or one for each objective."""

ESTIMATE = "fabric-bo:estimate"
"""User attribute of a pruned trial: what its value would be as far as is known, a number or one for each objective."""

Absent = Callable[[str], float | None]
"""What a parameter was in trials made before it existed; None where such trials say nothing."""


def never(name: str) -> float | None:
    """No parameter has a value in trials that lack it."""
    return None


@dataclass(frozen=True)
class Observations:
    """Trials that say something about the present space.

    Attributes:
        X: n x d points.
        Y: n x m values.
        Yvar: n x m variances of their noise; None where no trial states its standard error.
        numbers: n trial numbers.
    """

    X: Tensor
    Y: Tensor
    Yvar: Tensor | None
    numbers: list[int]


class Encoding:
    """Settings as points of the unit cube: logarithms where the range is logarithmic, categories one-hot.

    Args:
        space: distributions by name.
        absent: values in trials that lack a parameter.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], absent: Absent = never) -> None:
        self.space = dict(space)
        self.absent = absent
        self._transform = _SearchSpaceTransform(self.space, transform_0_1=True)
        self.dimensions = len(self._transform.bounds)

    def encode(self, params: Mapping[str, object]) -> Tensor | None:
        """A point, or None where a parameter is neither there nor known to have been absent, or is out of range."""
        values = {name: params[name] if name in params else self.absent(name) for name in self.space}
        for name, value in values.items():
            distribution = self.space[name]
            try:
                if value is None or not distribution._contains(distribution.to_internal_repr(value)):
                    return None
            except ValueError:  # no such category
                return None
        return torch.from_numpy(self._transform.transform(values))

    def decode(self, point: Tensor) -> dict[str, object]:
        """Settings at a point of the unit cube."""
        decoded: dict[str, object] = self._transform.untransform(point.clamp(0, 1).double().numpy())
        return decoded


def relative_space(trials: Sequence[FrozenTrial], absent: Absent) -> dict[str, BaseDistribution]:
    """Parameters that a model can be made of, as last asked for.

    A parameter is in it if every trial with a result has it, or if its value in those that lack it is known.

    Args:
        trials: all of a study.
        absent: values in trials that lack a parameter.
    """
    told = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.params]
    latest: dict[str, BaseDistribution] = {}
    for trial in trials:
        latest.update(trial.distributions)
    return {
        name: distribution
        for name, distribution in sorted(latest.items())
        if not distribution.single()
        and (absent(name) is not None or (told and all(name in trial.params for trial in told)))
    }


def observe(study: Study, trials: Sequence[FrozenTrial], encoding: Encoding) -> Observations:
    """Values of finished trials, turned so that higher is better.

    Pruned trials count where they state an `ESTIMATE`.

    Args:
        study: says the directions.
        trials: of the study.
        encoding: of the present space.
    """
    signs = [1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions]
    points, values, errors, numbers = [], [], [], []
    for trial in trials:
        told, point = _told(trial, len(signs)), encoding.encode(trial.params)
        if told is None or point is None:
            continue
        points.append(point)
        values.append([sign * value for sign, value in zip(signs, told, strict=True)])
        errors.append(_numbers(trial.user_attrs.get(STANDARD_ERROR), len(signs)))
        numbers.append(trial.number)
    X = torch.stack(points) if points else torch.zeros(0, encoding.dimensions, dtype=torch.float64)
    Y = torch.tensor(values, dtype=torch.float64).view(-1, len(signs))
    return Observations(X, Y, _variances(errors), numbers)


def pending(trials: Sequence[FrozenTrial], encoding: Encoding, besides: int) -> Tensor | None:
    """Points of running trials other than number `besides`, or None."""
    running = (t for t in trials if t.state == TrialState.RUNNING and t.number != besides and t.params)
    points = [point for trial in running if (point := encoding.encode(trial.params)) is not None]
    return torch.stack(points) if points else None


def _told(trial: FrozenTrial, count: int) -> list[float] | None:
    """A trial's values, if it has any that count."""
    if trial.state == TrialState.COMPLETE:
        values: list[float] | None = trial.values
    elif trial.state == TrialState.PRUNED:
        values = _numbers(trial.user_attrs.get(ESTIMATE), count)
    else:
        values = None
    return values if values is not None and all(map(math.isfinite, values)) else None


def _numbers(stated: object, count: int) -> list[float] | None:
    """One number for each objective of a user attribute, if it states them."""
    listed = stated if isinstance(stated, list) else [stated] * count
    finite = [float(number) for number in listed if isinstance(number, int | float) and math.isfinite(number)]
    return finite if len(finite) == len(listed) == count else None


def _variances(errors: Sequence[list[float] | None]) -> Tensor | None:
    """Squares of standard errors; a trial without one is as uncertain as the median of the others."""
    known = [error for error in errors if error is not None]
    if not known:
        return None
    usual = np.median(np.array(known), axis=0).tolist()
    return torch.tensor([usual if error is None else error for error in errors], dtype=torch.float64) ** 2
