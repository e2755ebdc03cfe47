"""A study with its storage: trials under way, whose they are, and whether these still live."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from experiments.run.storage import RunStorage, connect
from optimizer.attributes import LOST

BEAT, GRACE = 10, 60
"""Seconds between signs of life, and seconds without one until a process counts as dead."""

WAITING = "waiting for"
"""User attribute of a trial that runs: items that people have to rate before it goes on."""

_BEGUN_BY, _WORKER = "begun by", "worker"
"""User attributes of a trial: its process, from the first moment, and once that has given a sign of life."""


def running(study: Study) -> list[FrozenTrial]:
    """Trials under way, here or in other processes."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def open_storage(url: str) -> RunStorage:
    """Opens a storage in which trials show that their process lives; see `connect`."""
    return connect(url, BEAT, GRACE)


class Store:
    """A study and the storage that it is in.

    Args:
        study: of a run.
        storage: that holds it.
    """

    def __init__(self, study: Study, storage: RunStorage) -> None:
        self.study = study
        self.storage = storage
        self._silent_since: dict[int, float] = {}  # by trial, on this process's clock, which nobody sets

    def ask(self, space: Mapping[str, BaseDistribution]) -> Trial:
        """A new trial with its parameters, of this process from the first.

        It is lost from now on, unless the process says in the end that its settings failed; see `LOST`.
        """
        trial = self._new_trial()
        try:
            self.claim(trial)
            with self.alive([trial]):  # a proposal may take long on a busy machine
                for name, distribution in space.items():
                    trial._suggest(name, distribution)
        except BaseException:
            self.give_up(trial)
            raise
        return trial

    def give_up(self, trial: Trial) -> None:
        """Ends a trial that was asked for, as lost: nothing is known of its settings."""
        with contextlib.suppress(UpdateFinishedTrialError, ValueError):  # others have given it up
            self.study.tell(trial, state=TrialState.FAIL)

    def _new_trial(self) -> Trial:
        """As `Study.ask`, but whose it is and that it is lost is written with it, whenever this process may die."""
        self.study._thread_local.cached_all_trials = None
        if (enqueued := self.study._pop_waiting_trial_id()) is not None:
            trial = Trial(self.study, enqueued)
            trial.set_user_attr(LOST, True)
            return trial
        template = create_trial(state=TrialState.RUNNING, user_attrs={LOST: True, _BEGUN_BY: _this_worker()})
        return Trial(self.study, self.study._storage.create_new_trial(self.study._study_id, template))

    @contextlib.contextmanager
    def alive(self, trials: Sequence[Trial]) -> Iterator[None]:
        """Within, the storage is told that the trials' process lives; Optuna does so only inside `study.optimize`."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT):
                for trial in trials:
                    with contextlib.suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError, ConnectionError):
                        self.storage.record_heartbeat(trial._trial_id)  # a beat that is missed is made up by the next

        for trial in trials:
            self.storage.record_heartbeat(trial._trial_id)
        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def claim(self, trial: Trial) -> None:
        """Says that this process has a running trial, and lives."""
        # In this order, so that a trial which says whose it is has given a sign of life.
        self.storage.record_heartbeat(trial._trial_id)
        trial.set_user_attr(_WORKER, _this_worker())

    def reap(self) -> None:
        """Marks trials failed whose process died, so that they are neither waited for nor counted.

        Those that wait for people are kept: somebody else takes them up; see `waiting`.
        """
        for trial in self._orphans(running(self.study)):
            if not trial.user_attrs.get(WAITING):
                with contextlib.suppress(UpdateFinishedTrialError, ValueError):  # another process was faster
                    self.storage.set_trial_user_attr(trial._trial_id, LOST, True)
                    self.study.tell(trial.number, state=TrialState.FAIL)

    def workers(self) -> int:
        """Processes that have a trial under way, here and elsewhere."""
        stale = set(self.storage._get_stale_trial_ids(self.study._study_id))
        alive = [trial for trial in running(self.study) if trial._trial_id not in stale and not _is_dead(trial)]
        known = (trial.user_attrs.get(_WORKER) for trial in alive)
        return len({json.dumps(worker, sort_keys=True) for worker in known if worker is not None})

    def others(self) -> list[FrozenTrial]:
        """Trials under way in other processes that live; those that wait for people left out."""
        under_way = running(self.study)
        gone = {orphan.number for orphan in self._orphans(under_way)}
        return [
            other
            for other in under_way
            if other.number not in gone
            and other.user_attrs.get(_WORKER) != _this_worker()
            and not other.user_attrs.get(WAITING)
        ]

    def waiting(self) -> list[Trial]:
        """Trials that wait for people: those of this process, and those whose process died, which it takes up."""
        under_way, found = running(self.study), []
        orphans = {trial.number for trial in self._orphans(under_way)}
        for trial in under_way:
            is_own = trial.user_attrs.get(_WORKER) == _this_worker()
            if trial.user_attrs.get(WAITING) and (is_own or trial.number in orphans):
                found.append(Trial(self.study, trial._trial_id))
                if is_own:
                    self.storage.record_heartbeat(trial._trial_id)
                else:
                    self.claim(found[-1])
        return found

    def _orphans(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those of running trials whose process died: this machine knows, or it has been silent for long.

        After the storage was away, or its clock was set, all seem silent; those that live then give a sign soon. So
        nobody is dead who was not silent for a while longer.
        """
        stale, now = set(self.storage._get_stale_trial_ids(self.study._study_id)), time.monotonic()
        silent = {trial._trial_id for trial in trials if trial._trial_id in stale or _WORKER not in trial.user_attrs}
        self._silent_since = {each: self._silent_since.get(each, now) for each in silent}
        return [trial for trial in trials if _is_dead(trial) or self._is_silent(trial, now)]

    def _is_silent(self, trial: FrozenTrial, now: float) -> bool:
        """Whether a running trial gave no sign for too long; before its first one, it may be that it is asked now."""
        longest = 2 * BEAT if _WORKER in trial.user_attrs else GRACE
        return now - self._silent_since.get(trial._trial_id, now) > longest


def _this_worker() -> dict[str, Any]:
    return {"host": _machine(), "pid": os.getpid(), "since": psutil.Process().create_time()}


@functools.cache
def _machine() -> str:
    """Where process numbers mean what they mean here: containers and machines may share a host's name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # not Linux
        return f"{socket.gethostname()} {uuid.getnode()}"


def _is_dead(trial: FrozenTrial) -> bool:
    """Whether a running trial's process is known not to live; on other machines only heartbeats tell."""
    worker = trial.user_attrs.get(_WORKER, trial.user_attrs.get(_BEGUN_BY))
    if worker is None or worker["host"] != _machine():
        return False
    try:
        return abs(psutil.Process(worker["pid"]).create_time() - worker["since"]) > 1
    except psutil.NoSuchProcess:
        return True
