"""The order of a study's trials: known settings come first, whoever proposes the rest.

A trial that failed says nothing about its settings, so its place in the order is given again: a known setting is not
lost because a worker was killed, and a run that was killed and resumed proposes what the unbroken run would have.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optimizer.attributes import is_lost
from optimizer.encoding import in_range
from optimizer.samplers.proposals import is_own, publish

_TRIES = 2  # of one place: what fails twice fails by its settings, and the run goes on without them


def place_of(study: Study, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """Place of a trial in the order, from 0: the first that had been lost when it began, else the next.

    Trials that others enqueued or added take no place; one of them has that of the next that is proposed.

    Args:
        study: of the trial.
        trial: whose place is asked for.
        trials: of the study; later ones are not looked at.
    """
    lost: dict[int, datetime] = {}
    failures: Counter[int] = Counter()
    fresh = 0
    earlier = sorted(
        (other for other in trials if other.number < trial.number and is_own(study, other)),
        key=lambda other: other.number,
    )
    for current in [*earlier, trial]:
        began = current.datetime_start or datetime.max
        place = min((place for place, when in lost.items() if when <= began), default=fresh)
        lost.pop(place, None)
        fresh = max(fresh, place + 1)
        if current.state == TrialState.FAIL:
            failures[place] += not is_lost(current)
            if failures[place] < _TRIES:
                lost[place] = current.datetime_complete or datetime.max
    return place


def key(*parts: object) -> int:
    """A seed of 32 bits that depends on what it is for."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, parts)).encode()).digest()[:4], "big")


class KnownFirst(BaseSampler):
    """Known settings, then what a subclass proposes.

    Nothing is kept between trials or processes: subclasses draw at random by `self.key`, of the trial's place.

    Args:
        first: settings of the first trials; parameters they do not name are drawn by the subclass.
        seed: of everything random.
    """

    def __init__(self, first: Sequence[Mapping[str, Any]] = (), seed: int = 0) -> None:
        self.first = [dict(settings) for settings in first]
        self.seed = seed

    @abstractmethod
    def propose(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution], place: int
    ) -> dict[str, Any]:
        """Settings of a trial after the known ones; what it leaves out is drawn by `draw`.

        Args:
            study: of the trial.
            trial: that runs.
            space: at least one parameter.
            place: 0 for the first trial after the known ones.
        """

    def draw(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution, place: int) -> Any:
        """A parameter that was not proposed; at random by default. `place` counts from the first trial of all."""
        return RandomSampler(seed=self.key(name, place)).sample_independent(study, trial, name, distribution)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Settings of a trial; what it leaves out is drawn by `sample_independent`.

        Raises:
            ValueError: a known setting is out of range.
        """
        place = self._place(study, trial)
        if place < len(self.first):
            settings = {
                name: self._known(place, name, search_space[name]) for name in self.first[place] if name in search_space
            }
        else:
            settings = self.propose(study, trial, search_space, place - len(self.first)) if search_space else {}
        publish(study, trial, settings, search_space)
        return settings

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter that is not proposed with the others: as the known settings say, else as `draw` does.

        Raises:
            ValueError: a known setting is out of range.
        """
        place = self._place(study, trial)
        if place < len(self.first) and param_name in self.first[place]:
            return self._known(place, param_name, param_distribution)
        return self.draw(study, trial, param_name, param_distribution, place)

    def key(self, *parts: object) -> int:
        """A seed for what the parts name."""
        return key(self.seed, *parts)

    def _place(self, study: Study, trial: FrozenTrial) -> int:
        return place_of(study, trial, study.get_trials(deepcopy=False))

    def _known(self, place: int, name: str, distribution: BaseDistribution) -> Any:
        value = self.first[place][name]
        if not in_range(distribution, value):
            raise ValueError(f"known settings {place}: {name}: {value!r} is out of range; allowed: {distribution}")
        return value
