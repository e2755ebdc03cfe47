"""What was shown and done in a session: read from its study once, and then only what was added."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from experiments.studio.history.records import Record, from_dict, to_dict
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State, fold

_RECORD = "fabric-bo:record:"
_CHANGES = "changes"


class SessionLog:
    """The log of a session, which any number of threads and processes read and add to.

    Whoever has written to the study adds a byte to a file, so that the others need not ask the study whether
    there is anything new.

    Args:
        study: of the session.
        folder: likewise.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self._changes = folder / _CHANGES
        self._records: dict[str, Record] = {}
        self._shown: dict[int, ShownImage] = {}
        self._state = State()
        self._read_at = -1  # size of the file when the study was read
        self._lock = threading.RLock()

    @property
    def state(self) -> State:
        """Everything that was shown and done, up to this moment; the same object until something more was."""
        with self._lock:
            self._read()
            return self._state

    def append(self, record: Record) -> None:
        """Adds what somebody did; when this returns it is in the study."""
        with self._lock:
            self._read()
            key = later_key(_RECORD, max(self._records, default=""))
            self.study.set_user_attr(key, to_dict(record))
            self._records[key] = record
            self._wrote()

    def add(self, trial: FrozenTrial) -> None:
        """Adds what was shown."""
        with self._lock:
            self.study.add_trial(trial)
            self._changes_by_one()

    def _wrote(self) -> None:
        """After a record was added here and there: nothing is read again unless others wrote meanwhile."""
        known = self._read_at
        if self._changes_by_one() == known + 1:
            self._read_at = known + 1
        self._state = self._folded()

    def _changes_by_one(self) -> int:
        """Tells everybody that there is something new; how often that was done so far."""
        with self._changes.open("ab") as file:
            file.write(b".")
            return file.tell()

    def _read(self) -> None:
        """Reads the study if anybody wrote to it since."""
        size = self._changes.stat().st_size if self._changes.exists() else 0
        if size == self._read_at:
            return
        trials, records = _written(self.study)
        new = [trial for trial in trials if trial.number not in self._shown]
        unread = {key: values for key, values in records.items() if key not in self._records}
        self._shown |= {trial.number: _shown(trial) for trial in new}
        self._records |= {key: from_dict(values) for key, values in unread.items()}
        if new or unread:
            self._state = self._folded()
        self._read_at = size

    def _folded(self) -> State:
        return fold(self._shown.values(), [self._records[key] for key in sorted(self._records)])


def later_key(prefix: str, latest: str) -> str:
    """A name for what is written now, which sorts after an earlier one even where the clock was set back.

    Args:
        prefix: of all names of its kind.
        latest: the last of them; empty if there is none.
    """
    after = int(latest.removeprefix(prefix).split(":")[0]) + 1 if latest else 0
    return f"{prefix}{max(time.time_ns(), after):020d}:{uuid.uuid4().hex}"


def state_of(study: Study) -> State:
    """Everything that was shown and done in a session, up to this moment."""
    trials, records = _written(study)
    return fold(map(_shown, trials), [from_dict(records[key]) for key in sorted(records)])


def _written(study: Study) -> tuple[list[FrozenTrial], dict[str, dict[str, Any]]]:
    """Trials of what was shown, and what was done by keys that sort as it was appended."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return trials, {key: values for key, values in study.user_attrs.items() if key.startswith(_RECORD)}


def _shown(trial: FrozenTrial) -> ShownImage:
    return ShownImage.of(trial.number, trial.params, trial.user_attrs)
