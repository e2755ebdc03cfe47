"""What a study knows, as tensors.

Notation:
    n: observations, d: dimensions of the encoded space, m: objectives.
    X: n x d in [0, 1], Y: n x m (higher is better), Yvar: n x m.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from optimizer.attributes import SCORES, STANDARD_ERROR, read_attribute
from optimizer.blocks import effects
from optimizer.encoding import Absent, Encoding


@dataclass(frozen=True)
class Observations:
    """Trials that say something about the present space.

    Attributes:
        X: n x d points.
        Y: n x m values.
        Yvar: n x m variances of their noise; None where no trial states its standard error.
        numbers: n trial numbers.
        features: what a model sees of points; see `Encoding.features`.
    """

    X: Tensor
    Y: Tensor
    Yvar: Tensor | None
    numbers: list[int]
    features: Callable[[Tensor], Tensor] | None = None

    def objective(self, k: int) -> Observations:
        """The same observations of the k-th objective alone, m = 1."""
        return replace(self, Y=self.Y[:, [k]], Yvar=None if self.Yvar is None else self.Yvar[:, [k]])


def relative_space(
    trials: Sequence[FrozenTrial],
    absent: Absent,
    states: Sequence[TrialState] = (TrialState.COMPLETE, TrialState.PRUNED),
) -> dict[str, BaseDistribution]:
    """Parameters that a model can be made of, as last asked for.

    A parameter is in it if every observed trial has it, or if its value in those that lack it is known.

    Args:
        trials: all of a study.
        absent: values in trials that lack a parameter.
        states: of observed trials.
    """
    observed = [trial for trial in trials if trial.state in states and trial.params]
    latest: dict[str, BaseDistribution] = {}
    for trial in trials:
        latest.update(trial.distributions)
    return {
        name: distribution
        for name, distribution in sorted(latest.items())
        if not distribution.single()
        and (absent(name) is not None or (observed and all(name in trial.params for trial in observed)))
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
    blocked = _in_blocks(points, len(signs))
    Yvar: Tensor | None
    if blocked is not None:
        points, Y, Yvar = blocked
    else:
        points = [(trial, point) for trial, point in points if _complete(trial)]
        Y = torch.tensor([trial.values for trial, _ in points], dtype=torch.float64).view(-1, len(signs))
        Yvar = _variances([_numbers(read_attribute(trial, STANDARD_ERROR), len(signs)) for trial, _ in points])
    X = torch.stack([point for _, point in points]) if points else torch.zeros(0, encoding.dimensions).double()
    features = None if encoding.feature_map is None else encoding.features
    return Observations(X, Y * torch.tensor(signs).double(), Yvar, [trial.number for trial, _ in points], features)


def pending(trials: Sequence[FrozenTrial], encoding: Encoding, besides: int) -> Tensor | None:
    """Points of running trials other than number `besides`, or None."""
    running = (t for t in trials if t.state == TrialState.RUNNING and t.number != besides and t.params)
    points = [point for trial in running if (point := encoding.encode(trial.params)) is not None]
    return torch.stack(points) if points else None


_Points = list[tuple[FrozenTrial, Tensor]]


def _complete(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values))


def _in_blocks(points: _Points, objectives: int) -> tuple[_Points, Tensor, Tensor] | None:
    """Trials with scores by block, their values and variances; None where some finished trial has none."""
    observed = [
        (trial, point)
        for trial, point in points
        if _complete(trial) or (trial.state == TrialState.PRUNED and read_attribute(trial, SCORES))
    ]
    tables = [read_attribute(trial, SCORES) for trial, _ in observed]
    if not any(_complete(trial) for trial, _ in observed) or not all(tables):
        return None
    columns = [effects([_column(table, k) for table in tables]) for k in range(objectives)]
    values, variances = (torch.from_numpy(np.stack(column, axis=1)) for column in zip(*columns, strict=True))
    return observed, values, variances


def _column(scores: dict[str, float | list[float]], objective: int) -> dict[str, float]:
    """Scores of one objective."""
    return {name: score[objective] if isinstance(score, list) else score for name, score in scores.items()}


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
