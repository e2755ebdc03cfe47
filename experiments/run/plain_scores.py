"""Scores of images without feedback, which trials are compared with: found once for a study by all who work on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
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
with; constraints come after the objectives. With `:1`, `:2`, ... after it those of replications; see `Task`. Of a
trial: those that its process found, by the place of their task."""

_TAKEN = "fabric-bo:plain taken"  # user attribute of a trial: places of tasks that its process is at, by the name above
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
            trial: that is to be compared with them. All trials under way that need them share the tasks among them,
                and wait for each other in the end.
            replication: see `Task.replication`.

        Returns:
            The scores, or what people have to rate first.
        """
        tasks = self.plan.tasks
        if not (self.plan.objectives or self.plan.constraints):
            return [np.empty((0, 0, 0)) for _ in tasks]
        name, unrated = tagged(PLAIN, replication), dict[int, UnratedError]()
        while (known := self.store.study.user_attrs.get(name)) is None:
            found = self._found(name)
            if len(found) == len(tasks):
                known = [found[place] for place in range(len(tasks))]
                if self._writes(trial, name):
                    self.store.study.set_user_attr(name, known)
                break
            missing = [place for place in range(len(tasks)) if place not in found and place not in unrated]
            if not missing:
                return UnratedError("human", tuple(sorted({item for each in unrated.values() for item in each.items})))
            taken = self._take(trial, name, missing, replication)
            if taken:
                self.on_wait("generating the images without feedback")
                unrated |= self._find(trial, name, taken, replication)
            else:
                self.on_wait("waiting for the images without feedback, which other workers make")
                time.sleep(_WAIT)
        return [np.array(scores) for scores in known]

    def _writes(self, trial: Trial, name: str) -> bool:
        """Whether it falls to this trial to write down what was found together: to the first that found a part of it.

        Two that write at the same moment would be an error in the database's log, though nothing is lost by it.
        """
        finders = [other.number for other in self.store.others() if name in other.user_attrs]
        return not finders or (name in trial.user_attrs and trial.number < min(finders))

    def _found(self, name: str) -> dict[int, Any]:
        """Scores that are known, by the place of their task."""
        trials = self.store.study.get_trials(deepcopy=False)
        return {int(place): scores for trial in trials for place, scores in trial.user_attrs.get(name, {}).items()}

    def _take(self, trial: Trial, name: str, missing: Collection[int], replication: int) -> list[int]:
        """Tasks that nobody else is at, and this process is from now on: its share of them, as fit a batch.

        Each says what it takes before it looks what others take. So of two who take the same at least one sees the
        other, and steps back.
        """
        others = [other for other in self.store.others() if _may_replicate(other, replication)]
        free = sorted({*missing} - _taken(others, name))
        if not free:
            return []
        batch = self.generator.protocol.batch // self.generator.protocol.images
        share = max(1, min(batch, math.ceil(len(missing) / (1 + len(others)))))
        first = share * trial.number % len(free)  # others begin elsewhere
        taken = (free[first:] + free[:first])[:share]
        trial.set_user_attr(_TAKEN, {name: taken})
        if _taken(self.store.others(), name).isdisjoint(taken):
            return taken
        trial.set_user_attr(_TAKEN, {})
        return []

    def _find(self, trial: Trial, name: str, places: Collection[int], replication: int) -> dict[int, UnratedError]:
        """Finds the scores of tasks; returns what people have to rate first, by place."""
        scored = [*self.plan.objectives, *self.plan.constraints]
        bare = [
            replace(self.plan.tasks[place], liked=(), disliked=(), library=(), replication=replication)
            for place in places
        ]
        try:
            outcomes = play(self.generator, [(task, self.generator.protocol.plain) for task in bare], scored)
        except UnratedError as waiting:
            trial.set_user_attr(_TAKEN, {})
            return dict.fromkeys(places, waiting)
        found = {str(place): outcome.scores.tolist() for place, outcome in zip(places, outcomes, strict=True)}
        trial.set_user_attr(name, {**trial.user_attrs.get(name, {}), **found})
        return {}


def _taken(trials: Collection[FrozenTrial], name: str) -> set[int]:
    """Places of the tasks that trials under way are at."""
    return {place for trial in trials for place in trial.user_attrs.get(_TAKEN, {}).get(name, ())}


def _may_replicate(other: FrozenTrial, replication: int) -> bool:
    """Whether a running trial has the seeds of a replication, or does not say yet which it has."""
    stated = replication_of(other)
    return not other.params or (0 if stated is None else stated.number) == replication


def tagged(name: str, replication: int) -> str:
    """The name of what every replication has of its own: a block, the scores of plain images."""
    return f"{name}:{replication}" if replication else name
