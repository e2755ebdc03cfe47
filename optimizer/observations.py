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

from optimizer.paired import effects

STANDARD_ERROR = "fabric-bo:standard-error"
"""User attribute of a trial: the standard error of its value, a number or one for each objective."""

SCORES = "fabric-bo:scores"
"""User attribute of a trial: its score on each prompt by the prompt's name, the same prompts in all trials.

With it noise is known from pairs, and pruned trials count by what they saw; see `optimizer.paired`. One objective only.
"""

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
    """Values of finished trials, turned so that higher is better; pruned trials count where they state `SCORES`.

    Args:
        study: says the directions.
        trials: of the study.
        encoding: of the present space.
    """
    signs = [1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions]
    points = [(trial, point) for trial in trials if (point := encoding.encode(trial.params)) is not None]
    paired = _paired(points) if len(signs) == 1 else None
    Yvar: Tensor | None
    if paired is not None:
        points, Y, Yvar = paired
    else:
        points = [(trial, point) for trial, point in points if _complete(trial)]
        Y = torch.tensor([trial.values for trial, _ in points], dtype=torch.float64).view(-1, len(signs))
        Yvar = _variances([_numbers(trial.user_attrs.get(STANDARD_ERROR), len(signs)) for trial, _ in points])
    X = torch.stack([point for _, point in points]) if points else torch.zeros(0, encoding.dimensions).double()
    return Observations(X, Y * torch.tensor(signs).double(), Yvar, [trial.number for trial, _ in points])


def pending(trials: Sequence[FrozenTrial], encoding: Encoding, besides: int) -> Tensor | None:
    """Points of running trials other than number `besides`, or None."""
    running = (t for t in trials if t.state == TrialState.RUNNING and t.number != besides and t.params)
    points = [point for trial in running if (point := encoding.encode(trial.params)) is not None]
    return torch.stack(points) if points else None


_Points = list[tuple[FrozenTrial, Tensor]]


def _complete(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values))


def _paired(points: _Points) -> tuple[_Points, Tensor, Tensor] | None:
    """Trials with scores by prompt, their values and variances; None where some finished trial has none."""
    told = [
        (trial, point)
        for trial, point in points
        if _complete(trial) or (trial.state == TrialState.PRUNED and trial.user_attrs.get(SCORES))
    ]
    if not any(_complete(trial) for trial, _ in told) or not all(trial.user_attrs.get(SCORES) for trial, _ in told):
        return None
    values, variances = effects([trial.user_attrs[SCORES] for trial, _ in told])
    return told, torch.from_numpy(values)[:, None], torch.from_numpy(variances)[:, None]


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
