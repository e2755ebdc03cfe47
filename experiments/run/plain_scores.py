"""Scores of images without feedback, which trials are compared with: found once for a study by all who work on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, Trial

from experiments.run.cached_generator import CachedGenerator
from experiments.run.plan import Plan
from experiments.run.play import play
from experiments.run.protocol import Scores
from experiments.run.store import Store
from objectives.base import UnratedError
from optimizer.attributes import replication_of

PLAIN = "fabric-bo:plain"
"""User attribute of a study: scores of the images without feedback, P x (M + C) x R x n, which trials are compared
with; constraints come after the objectives. With `:1`, `:2`, ... after it those of replications; see `Task`."""

_WAIT = 1.0  # seconds between two looks at what others are at


class PlainScores:
    """Scores of a plan's tasks without feedback.

    Args:
        plan: tasks, objectives and constraints.
        generator: of its protocol.
        store: of the trials; says what others are at.
        on_wait: called with what is waited for.
    """

    def __init__(
        self, plan: Plan, generator: CachedGenerator, store: Store, on_wait: Callable[[str], None] = lambda what: None
    ) -> None:
        self.plan = plan
        self.generator = generator
        self.store = store
        self.on_wait = on_wait

    def __call__(self, trial: Trial, replication: int = 0) -> list[Scores] | UnratedError:
        """Scores of the tasks' images without feedback, P of M x R x n.

        Args:
            trial: that is to be compared with them. Of all trials under way that need them the first makes them, and
                the processes of others wait.
            replication: see `Task.replication`.

        Returns:
            The scores, or what people have to rate first.
        """
        tasks, scored = self.plan.tasks, [*self.plan.objectives, *self.plan.constraints]
        if not scored:
            return [np.empty((0, 0, 0)) for _ in tasks]
        name = tagged(PLAIN, replication)
        known = self._known(name, trial, replication)
        if known is None:
            self.on_wait("generating the images without feedback")
            setting = self.generator.protocol.plain
            bare = [replace(task, liked=(), disliked=(), library=(), replication=replication) for task in tasks]
            try:
                outcomes = play(self.generator, [(task, setting) for task in bare], scored)
            except UnratedError as waiting:
                return waiting
            known = [outcome.scores.tolist() for outcome in outcomes]
            self.store.study.set_user_attr(name, known)
        return [np.array(scores) for scores in known]

    def _known(self, name: str, trial: Trial, replication: int) -> Any:
        """Scores that are known; None where it is this trial's turn to find them."""
        while (known := self.store.study.user_attrs.get(name)) is None:
            if not any(_may_replicate(other, replication) for other in self.store.ahead(trial)):
                return self.store.study.user_attrs.get(name)  # whoever was ahead has written them meanwhile
            self.on_wait("waiting for the images without feedback, which another worker makes")
            time.sleep(_WAIT)
        return known


def _may_replicate(other: FrozenTrial, replication: int) -> bool:
    """Whether a running trial has the seeds of a replication, or does not say yet which it has."""
    stated = replication_of(other)
    return not other.params or (0 if stated is None else stated.number) == replication


def tagged(name: str, replication: int) -> str:
    """The name of what every replication has of its own: a block, the scores of plain images."""
    return f"{name}:{replication}" if replication else name
