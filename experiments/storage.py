"""The study of a run: an SQLite file that survives kills, several processes and changed minds."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import Study

_NAME = "fabric-bo"
_CONFIG = "fabric-bo:config"
_BEAT, _GRACE = 10, 60  # seconds


def open_study(folder: Path, config: dict[str, Any], sampler: BaseSampler, pruner: optuna.pruners.BasePruner) -> Study:
    """The study in a folder, new or as it was left; trials whose process died are marked failed.

    Args:
        folder: of the run.
        config: plain values that decide what a trial is; kept in the study.
        sampler: proposes settings.
        pruner: stops trials early.

    Raises:
        ValueError: the study was made with another configuration; the message shows the difference.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # readers and a writer at the same time
    storage = RDBStorage(f"sqlite:///{path}", heartbeat_interval=_BEAT, grace_period=_GRACE)
    study = optuna.create_study(
        storage=storage, study_name=_NAME, direction="maximize", sampler=sampler, pruner=pruner, load_if_exists=True
    )
    known = study.user_attrs.get(_CONFIG)
    if known is None:
        study.set_user_attr(_CONFIG, config)
    elif known != json.loads(json.dumps(config)):
        raise ValueError(f"config: {folder} holds a run of another configuration: {_difference(known, config)}")
    fail_stale_trials(study)
    return study


def _difference(old: dict[str, Any], new: dict[str, Any], place: str = "") -> str:
    """Fields that differ, as `place: old -> new`."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after, here = old.get(name), json.loads(json.dumps(new.get(name))), f"{place}{name}"
        if isinstance(before, dict) and isinstance(after, dict):
            found.append(_difference(before, after, f"{here}."))
        elif before != after:
            found.append(f"{here}: {before} -> {after}")
    return ", ".join(each for each in found if each)


@contextlib.contextmanager
def heartbeat(study: Study, trial: optuna.trial.Trial) -> Iterator[None]:
    """Within, the storage is told that the trial's process lives; Optuna does so only inside `study.optimize`."""
    storage, done = study._storage, threading.Event()
    assert isinstance(storage, RDBStorage | optuna.storages._CachedStorage)
    backend = getattr(storage, "_backend", storage)

    def beat() -> None:
        while not done.wait(_BEAT):
            backend.record_heartbeat(trial._trial_id)

    backend.record_heartbeat(trial._trial_id)  # at once: a trial without any is never found dead
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
