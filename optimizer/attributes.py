"""What trials say about themselves: user attributes that a study keeps and that the optimiser reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState

STANDARD_ERROR = "optimizer:standard-error"
"""The standard error of the trial's value, a number or one for each objective."""

SCORES = "optimizer:scores"
"""The trial's score in each block, by the block's name; all trials have the same blocks.

A number, or one for each objective. With it noise is known from pairs, and pruned trials count by the blocks that they
have; see `optimizer.blocks`.
"""

CONSTRAINT_SCORES = "optimizer:constraint-scores"
"""What a trial's constraints are in each block: by the constraint's name, its value by the block's name.

The mean over blocks is the value that Optuna's `Trial.set_constraint` states, of which at most 0 is allowed. With it
the noise of constraints is known from pairs.
"""

CHOICES = "optimizer:choices"
"""Choices that people made between images of a trial and of others, each a list of options, the chosen one first.

An option is a trial's number and the name of its image among those of the trial; images of one name have all but their
settings in common. Where trials state it, what is learnt of the objective is utility, whatever their values are.
"""

STAND_IN = "optimizer:stand-in"
"""A score of a trial that stands in for its value as long as it has none, and tells where its value is expected.

A number, known before the value is, of which more is better where more of the value is. How much of the value it tells
is learnt; see `optimizer.stand_in`.
"""

REPLICATION = "optimizer:replication"
"""Of a trial that tries another's settings again, in blocks of its own: a `Replication`."""

LOST = "optimizer:lost"
"""Whether a failed trial says nothing of its settings, since its process was stopped or died.

A worker sets it to true when it begins and to false when the settings fail, so it is right however the worker ends.
"""

_FORMER = {
    STANDARD_ERROR: "fabric-bo:standard-error",
    SCORES: "fabric-bo:scores",
    LOST: "fabric-bo:lost",
}  # in studies made before the keys had their present names


def read_attribute(trial: FrozenTrial, key: str) -> Any:
    """What a trial says under a key of this module or under the key's former name; None where it says nothing."""
    return trial.user_attrs.get(key, trial.user_attrs.get(_FORMER.get(key, key)))


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial failed with its process, not by its settings; see `LOST`."""
    return trial.state == TrialState.FAIL and bool(read_attribute(trial, LOST))


class Replication(NamedTuple):
    """What a trial replicates.

    Attributes:
        trial: number of the first with these settings.
        number: 1 for the first replication of it, 2 for the second.
    """

    trial: int
    number: int


def replication_of(trial: FrozenTrial) -> Replication | None:
    """What a trial replicates; None for one that tries settings for the first time."""
    stated = trial.user_attrs.get(REPLICATION)
    return None if stated is None else Replication(**stated)


def without_replications(trials: Sequence[FrozenTrial]) -> tuple[list[FrozenTrial], dict[int, list[FrozenTrial]]]:
    """Trials that stand for themselves, and those that add blocks to one of them, by its number.

    A replication stands for itself where it or the first of these settings states no scores by block, since then it is
    one more observation of the same point.
    """
    stating = {trial.number for trial in trials if read_attribute(trial, SCORES)}
    alone, replications = list[FrozenTrial](), dict[int, list[FrozenTrial]]()
    for trial in trials:
        replication = replication_of(trial)
        if replication is not None and {trial.number, replication.trial} <= stating:
            replications.setdefault(replication.trial, []).append(trial)
        else:
            alone.append(trial)
    return alone, replications


def scores_of(
    trial: FrozenTrial, replications: Sequence[FrozenTrial] = (), constraint: str | None = None
) -> dict[str, Any]:
    """Scores by block, of a trial and of those that replicate it; see `SCORES`.

    Args:
        trial: the first of them.
        replications: the others.
        constraint: name of one, whose values by block are meant; see `CONSTRAINT_SCORES`.
    """
    found: dict[str, Any] = {}
    for one in (trial, *replications):
        stated = read_attribute(one, SCORES if constraint is None else CONSTRAINT_SCORES) or {}
        found |= stated if constraint is None else stated.get(constraint, {})
    return found
