"""Storages that wait for what holds them: a server that is started again costs no trial.

Retries are by `tenacity`; what may be retried is what a lost connection raises, and nothing else.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.retry import retry_base

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


def patiently(retry: retry_base, hurry: threading.Event, what: str = "storage") -> Retrying:
    """Tries a call again, up to ten minutes.

    Args:
        retry: whether what came of it is to be tried again.
        hurry: when it is set, nothing is tried again.
        what: is called, for the message.

    Raises:
        ConnectionError: nothing else came of it in that time.
    """
    return Retrying(
        retry=retry,
        stop=stop_after_delay(_LONGEST) | stop_when_event_set(hurry),
        sleep=sleep_using_event(hurry),
        wait=wait_random_exponential(multiplier=0.2, max=_PAUSE),
        before_sleep=before_sleep_log(_log, logging.DEBUG),
        retry_error_callback=functools.partial(_give_up, what),
    )


def _give_up(what: str, state: RetryCallState) -> NoReturn:
    # Without the error itself, which may quote the URL.
    raise ConnectionError(f"{what}: no answer for {_LONGEST / 60:.0f} minutes; what is finished is kept") from None


class PatientStorage(RDBStorage):
    """Optuna's storage in a database server, every call of which is tried again while the server is away.

    A call that was done while its answer was lost is done twice. That is harmless but for a new trial, of which the
    first one is left without a process and fails as lost, and for the end of a trial, which is looked up.

    Attributes:
        hurry: when it is set, nothing is tried again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.hurry = threading.Event()
        super().__init__(*args, **kwargs)

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

        return bool(patiently(retry_if_exception(is_lost_connection), self.hurry)(told))


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def tried(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        return patiently(retry_if_exception(is_lost_connection), self.hurry)(method, self, *args, **kwargs)

    return tried


for _name in _METHODS:
    setattr(PatientStorage, _name, _patient(getattr(RDBStorage, _name)))
