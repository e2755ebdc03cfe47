"""What a study knows, as tensors.

Notation:
    n: observations, d: dimensions of the encoded space, m: objectives.
    X: n x d in [0, 1], Y: n x m (higher is better), Yvar: n x m.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from optimizer.attributes import (
    CHOICES,
    STAND_IN,
    STANDARD_ERROR,
    is_lost,
    read_attribute,
    scores_of,
    without_replications,
)
from optimizer.blocks import effects
from optimizer.choices import PreferenceData
from optimizer.constraints import Constraints, observe_constraints
from optimizer.encoding import Absent, Encoding

_log = logging.getLogger(__name__)
Replications = Mapping[int, Sequence[FrozenTrial]]
"""Trials that replicate another's settings, by its number."""


@dataclass(frozen=True)
class StandIn:
    """Scores that stand in for values; of all settings that have a value, and of others.

    Attributes:
        X: N x d points.
        scores: N x 1, higher is better.
        own: n x 1, of the settings that have values.
        numbers: N trial numbers.
    """

    X: Tensor
    scores: Tensor
    own: Tensor
    numbers: list[int]


@dataclass(frozen=True)
class Observations:
    """Trials that say something about the present space.

    Attributes:
        X: n x d points.
        Y: n x m values.
        Yvar: n x m variances of their noise; None where no trial states its standard error.
        numbers: n trial numbers.
        features: what a model sees of points; see `Encoding.features`.
        constraints: what settings must keep to, where trials state it.
        preferences: what people chose, where trials state it; its X are points too.
        stand_in: scores that stand in for values, where all trials of one objective state one.
    """

    X: Tensor
    Y: Tensor
    Yvar: Tensor | None
    numbers: list[int]
    features: Callable[[Tensor], Tensor] | None = None
    constraints: Constraints | None = None
    preferences: PreferenceData | None = None
    stand_in: StandIn | None = None

    def standing_in(self) -> Observations:
        """The scores that stand in for values as if they were the values; themselves where there are none."""
        if (scores := self.stand_in) is None:
            return self
        return Observations(scores.X, scores.scores, None, scores.numbers, self.features)

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

    Trials that replicate another's settings add their blocks to it; see `REPLICATION`.

    Args:
        study: says the directions.
        trials: of the study.
        encoding: of the present space.
    """
    signs = _signs(study)
    trials, replications = without_replications(trials)
    encoded = [(trial, point) for trial in trials if (point := encoding.encode(trial.params)) is not None]
    measured = _measured([trial for trial, _ in encoded], replications, len(signs))
    encoded = [(trial, point) for trial, point in encoded if trial.number in measured]
    values = [measured[trial.number] for trial, _ in encoded]
    X = torch.stack([point for _, point in encoded]) if encoded else torch.zeros(0, encoding.dimensions).double()
    Y = torch.tensor([value.mean for value in values], dtype=torch.float64).view(-1, len(signs))
    features = None if encoding.feature_map is None else encoding.features
    told = [trial for trial, _ in encoded]
    numbers = [trial.number for trial in told]
    constraints, preferences = observe_constraints(told, replications), _preferences(told, trials, encoding)
    stand_in = _stand_in(numbers, trials, encoding, signs) if len(signs) == 1 else None
    return Observations(X, Y * signs, _variances(values), numbers, features, constraints, preferences, stand_in)


def with_failures(observations: Observations, trials: Sequence[FrozenTrial], encoding: Encoding) -> Observations:
    """The observations, and settings that failed as if they were as bad as the worst: so their surroundings are left.

    A failure says something about the settings unless the trial was lost with its process. What a failed setting is
    worth is made up, so this is for choosing where to look next, not for what to recommend.

    Args:
        observations: at least one.
        trials: of the study.
        encoding: of the present space.
    """
    failed = [t for t in trials if t.state == TrialState.FAIL and t.params and not is_lost(t)]
    encoded = [(trial.number, point) for trial in failed if (point := encoding.encode(trial.params)) is not None]
    if not encoded:
        return observations
    worst = observations.Y.amin(dim=0).expand(len(encoded), -1)
    Yvar = observations.Yvar
    if Yvar is not None:
        Yvar = torch.cat([Yvar, Yvar.median(dim=0).values.expand(len(encoded), -1)])
    return replace(
        observations,
        X=torch.cat([observations.X, torch.stack([point for _, point in encoded])]),
        Y=torch.cat([observations.Y, worst]),
        Yvar=Yvar,
        numbers=[*observations.numbers, *(number for number, _ in encoded)],
        constraints=None if observations.constraints is None else observations.constraints.with_worst(len(encoded)),
    )


def points(settings: Iterable[Mapping[str, Any]], encoding: Encoding) -> Tensor | None:
    """Settings as q x d points; those that cannot be encoded are left out, None where none is left."""
    found = [point for params in settings if (point := encoding.encode(params)) is not None]
    return torch.stack(found) if found else None


def _stand_in(told: Sequence[int], trials: Sequence[FrozenTrial], encoding: Encoding, sign: Tensor) -> StandIn | None:
    """Scores of trials that have not failed; None where one that says something has none. See `STAND_IN`."""
    scores = {
        trial.number: float(score)
        for trial in trials
        if trial.state != TrialState.FAIL and (score := trial.user_attrs.get(STAND_IN)) is not None
    }
    points = {trial.number: encoding.encode(trial.params) for trial in trials if trial.number in scores}
    found = {number: point for number, point in points.items() if point is not None}
    if not found or not found.keys() >= set(told):
        return None
    columns = (torch.tensor([scores[number] for number in numbers]).double() for numbers in (found, told))
    of_all, own = (column.view(-1, 1) * sign for column in columns)
    return StandIn(torch.stack(list(found.values())), of_all, own, list(found))


def _preferences(
    told: Sequence[FrozenTrial], trials: Sequence[FrozenTrial], encoding: Encoding
) -> PreferenceData | None:
    """What people chose; see `CHOICES`. Choices between settings that say nothing of the present space are left out.

    Args:
        told: trials that say something.
        trials: all, some of whose images may have been among the options.
        encoding: of the present space.
    """
    points = {trial.number: point for trial in trials if (point := encoding.encode(trial.params)) is not None}
    choices = [
        [(number, image) for number, image in options]
        for trial in told
        for options in trial.user_attrs.get(CHOICES, ())
        if all(number in points for number, _ in options)
    ]
    if not choices:
        return None
    items = list(dict.fromkeys(option for options in choices for option in options))
    rows = {item: row for row, item in enumerate(items)}
    names = list(dict.fromkeys(image for _, image in items))
    return PreferenceData(
        torch.stack([points[number] for number, _ in items]),
        [names.index(image) for _, image in items],
        [[rows[option] for option in options] for options in choices],
        (),
        [number for number, _ in items],
    )


@dataclass(frozen=True)
class _Value:
    """What a trial is worth: a mean for each objective, and its variances where they are known."""

    mean: Sequence[float]
    variance: Sequence[float] | None


def _signs(study: Study) -> Tensor:
    """1 for each objective of which more is better, else -1."""
    better = [direction == StudyDirection.MAXIMIZE for direction in study.directions]
    return torch.tensor(better).double() * 2 - 1


def _complete(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values))


def _measured(trials: Sequence[FrozenTrial], replications: Replications, objectives: int) -> dict[int, _Value]:
    """By trial number: from scores by block where a trial states them, else the trial's own value."""
    complete = [trial for trial in trials if _complete(trial)]
    alone = {trial.number: _Value(trial.values, _stated_variances(trial, objectives)) for trial in complete}
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    blocked = _in_blocks([*complete, *pruned], replications, objectives)
    if not alone.keys() & blocked.keys():  # nothing that was tried to its end states scores
        return alone
    if rest := alone.keys() - blocked.keys():
        _log.warning(
            "trials %s state no scores by block: their values count as they are, with the usual noise of the others",
            ", ".join(map(str, sorted(rest))),
        )
    return {**alone, **blocked}


def _in_blocks(trials: Sequence[FrozenTrial], replications: Replications, objectives: int) -> dict[int, _Value]:
    """Values and variances of the trials that state finite scores by block, by number."""
    tables = {
        trial.number: _finite(scores_of(trial, replications.get(trial.number, ())), objectives) for trial in trials
    }
    tables = {number: table for number, table in tables.items() if table}
    if not tables:
        return {}
    columns = [
        effects([{name: score[k] for name, score in table.items()} for table in tables.values()])
        for k in range(objectives)
    ]
    means, variances = (np.stack(column, axis=1).tolist() for column in zip(*columns, strict=True))
    return {number: _Value(means[row], variances[row]) for row, number in enumerate(tables)}


def _finite(scores: dict[str, float | list[float]], objectives: int) -> dict[str, list[float]]:
    """Scores of the blocks in which all objectives have a finite one."""
    listed = {name: score if isinstance(score, list) else [score] for name, score in scores.items()}
    return {
        name: score for name, score in listed.items() if len(score) == objectives and all(map(math.isfinite, score))
    }


def _stated_variances(trial: FrozenTrial, objectives: int) -> list[float] | None:
    """Squares of the standard errors that a trial states, if it states one for each objective."""
    stated = read_attribute(trial, STANDARD_ERROR)
    listed = stated if isinstance(stated, list) else [stated] * objectives
    finite = [float(number) for number in listed if isinstance(number, int | float) and math.isfinite(number)]
    return [number**2 for number in finite] if len(finite) == len(listed) == objectives else None


def _variances(values: Sequence[_Value]) -> Tensor | None:
    """N x m; a trial without variances is as uncertain as the median of the others. None where no trial has any."""
    known = [value.variance for value in values if value.variance is not None]
    if not known:
        return None
    usual = np.median(np.array(known), axis=0).tolist()
    return torch.tensor([value.variance or usual for value in values], dtype=torch.float64)
