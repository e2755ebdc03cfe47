"""The end of a study: the best settings once more, in other blocks, so that what is recommended is not the luckiest.

The best of many noisy values is too good by its noise (the winner's curse). A search ends with a few trials that tell
the leaders apart: Boesel, Nelson and Kim 2003, "Using ranking and selection to 'clean up' after simulation
optimization". Blocks are `optimizer.blocks`'; a trial that replicates another says so (`optimizer.attributes`).
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from optimizer.attributes import REPLICATION, Replication, is_lost, replication_of
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import ranking
from optimizer.samplers.known_first import KnownFirst, place_of
from optimizer.samplers.model_based import MODEL_ERRORS
from optimizer.samplers.proposals import publish, wait_for_earlier

_log = logging.getLogger(__name__)
LEADERS = 4  # settings that are tried again


class Replicating(BaseSampler):
    """A sampler's proposals, and after so many trials the best settings again.

    Of the leaders, that which was tried the fewest times comes next; with equal ones the better.

    Args:
        sampler: proposes before.
        after: trials that it has.
        encoding: of the space, for the model that says which settings are best.
        leaders: settings that are replicated.
    """

    def __init__(self, sampler: KnownFirst, after: int, encoding: Encoding, leaders: int = LEADERS) -> None:
        self.sampler = sampler
        self.after = after
        self.encoding = encoding
        self.leaders = leaders

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that are proposed together."""
        return self.sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Settings of a trial; what it leaves out is drawn by `sample_independent`."""
        replication = self._replication(study, trial)
        if replication is None:
            return self.sampler.sample_relative(study, trial, search_space)
        study._storage.set_trial_user_attr(trial._trial_id, REPLICATION, replication._asdict())
        params = study.get_trials(deepcopy=False)[replication.trial].params
        settings = {name: value for name, value in params.items() if name in search_space}
        publish(study, trial, settings, search_space)
        return settings

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter that is not proposed with the others: as in the trial that is replicated, where it has it."""
        trials = study.get_trials(deepcopy=False)
        replication = replication_of(trials[trial.number])
        if replication is not None and param_name in trials[replication.trial].params:
            return trials[replication.trial].params[param_name]
        return self.sampler.sample_independent(study, trial, param_name, param_distribution)

    def _replication(self, study: Study, trial: FrozenTrial) -> Replication | None:
        """What a trial is to replicate; None before the end, and where nothing can be said to be best."""
        if place_of(study, trial, study.get_trials(deepcopy=False)) < self.after:
            return None
        trials = wait_for_earlier(study, trial)
        observations = observe(study, trials, self.encoding)
        if not len(observations.Y):
            return None
        try:
            best = ranking(observations)[: self.leaders]
        except MODEL_ERRORS as error:
            _log.warning("trial %d: no model says what is best, so it replicates nothing (%s)", trial.number, error)
            return None
        earlier = (
            replication for other in trials if other.number < trial.number and (replication := _tried_again(other))
        )
        tried = Counter(replication.trial for replication in earlier)
        number = min(best, key=lambda number: tried[number])
        return Replication(number, tried[number] + 1)


def _tried_again(trial: FrozenTrial) -> Replication | None:
    """What a trial replicates; one that was lost with its process replicates nothing."""
    return None if is_lost(trial) else replication_of(trial)
