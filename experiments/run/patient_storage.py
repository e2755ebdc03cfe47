"""A storage that waits for its database: a server that is started again costs no trial.

Retries are by `tenacity`; what may be retried is what a lost connection raises, and nothing else.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from tenacity import Retrying, before_sleep_log, retry_if_exception, stop_after_delay, wait_random_exponential

_log = logging.getLogger(__name__)
_LONGEST, _PAUSE = 600, 10  # seconds: in all, and between two tries at most
# All that ask the database; those with an underscore are what Optuna's cache in front of the storage calls.
_METHODS = (
    "_create_new_trial",
    "_get_best_trial_id",
    "_get_stale_trial_ids",
    "_get_trials",
    "_set_trial_param",
    "create_new_study",
    "delete_study",
    "get_all_studies",
    "get_study_directions",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_system_attrs",
    "get_study_user_attrs",
    "get_trial",
    "get_trial_id_from_study_id_trial_number",
    "get_trial_param",
    "get_trial_system_attrs",
    "get_trial_user_attrs",
    "record_heartbeat",
    "set_study_system_attr",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_system_attr",
    "set_trial_user_attr",
)


def is_lost_connection(error: BaseException) -> bool:
    """Whether a database could not be reached, or went away meanwhile."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    return isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


class PatientStorage(RDBStorage):
    """Optuna's storage in a database server, every call of which is tried again while the server is away.

    A call that was done while its answer was lost is done twice. That is harmless but for a new trial, of which the
    first one is left without a process and fails as lost, and for the end of a trial, which is looked up.
    """

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See `optuna.storages.BaseStorage`."""
        tries = 0

        def told() -> bool:
            nonlocal tries
            tries += 1
            try:
                return RDBStorage.set_trial_state_values(self, trial_id, state, values)
            except UpdateFinishedTrialError:
                if tries > 1 and self.get_trial(trial_id).state == state:
                    return True
                raise

        return bool(_retrying()(told))


def _retrying() -> Retrying:
    return Retrying(
        retry=retry_if_exception(is_lost_connection),
        stop=stop_after_delay(_LONGEST),
        wait=wait_random_exponential(multiplier=0.2, max=_PAUSE),
        before_sleep=before_sleep_log(_log, logging.DEBUG),
        reraise=True,
    )


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def tried(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        return _retrying()(method, self, *args, **kwargs)

    return tried


for _name in _METHODS:
    setattr(PatientStorage, _name, _patient(getattr(RDBStorage, _name)))
