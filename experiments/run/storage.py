"""Where studies are kept: URLs of databases, whose passwords are written nowhere."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote_plus

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from experiments.run.patient_storage import PatientStorage

if TYPE_CHECKING:
    from experiments.run.grpc_storage import PatientProxy

RunStorage: TypeAlias = "RDBStorage | PatientProxy"
"""What a study may be in: storages in which trials show that their process lives."""

ENVIRONMENT = "FABRIC_BO_STORAGE"
"""Environment variable: URL of the storage where none is given, its password included."""

_HIDDEN = "***"
_SECRET = ("password", "passwd", "pwd")  # in the query of a URL
_PROXY = "grpc"  # scheme of a proxy's URL
_TRIES, _PAUSE = 5, 1.0  # of opening a storage; seconds between them


def storage_url(folder: Path, given: str | None) -> str:
    """Where a run's study is: as given, else an SQLite file in the run's folder."""
    return given or URL.create("sqlite", database=str(folder / "study.db")).render_as_string()


def without_password(url: str) -> str:
    """A URL as it may be written down: `***` in its password's place."""
    try:
        place = make_url(url)
    except ArgumentError:  # what is before an @ may be a password
        before, at, after = url.rpartition("@")
        return f"{_HIDDEN if before else ''}{at}{after}"
    hidden = {name: _HIDDEN for name in _SECRET if name in place.query}
    return place.update_query_dict(hidden).render_as_string(hide_password=True)


def with_password(url: str) -> str:
    """A URL that was written down, its password from the environment.

    Raises:
        ValueError: `FABRIC_BO_STORAGE` holds no such URL.
    """
    if not _lacks_password(url):
        return url
    given = os.environ.get(ENVIRONMENT, "")
    if _lacks_password(given) or without_password(given) != without_password(url):
        raise ValueError(f"storage: the password of {url} is not kept; allowed: the whole URL in {ENVIRONMENT}")
    return given


def _lacks_password(url: str) -> bool:
    """Whether a URL was written down without its password."""
    return _HIDDEN in _secrets(url)


def _secrets(url: str) -> list[str]:
    """Passwords in a URL."""
    try:
        place = make_url(url)
    except ArgumentError:
        return []
    found = [place.password, *(place.query.get(name) for name in _SECRET)]
    return [str(secret) for secret in found if secret]


def connect(url: str, beat: int = 10, grace: int = 60) -> RunStorage:
    """Opens a storage; SQLite in WAL mode, so that readers and a writer go together.

    Args:
        url: of it; a password that was left out is in the environment.
        beat: seconds between signs of life of a trial's process.
        grace: seconds without one until it counts as dead.

    Raises:
        ValueError: it cannot be opened; the message is one line.
    """
    url = with_password(url)
    for left in reversed(range(_TRIES)):
        try:
            return _connect(url, beat, grace)
        except ImportError as error:
            extra = "grpc" if make_url(url).drivername == _PROXY else "postgres"
            missing = f"{error.name or 'its driver'} is not installed: pip install 'fabric-bo[{extra}]'"
            raise ValueError(f"storage: {without_password(url)} cannot be opened ({missing})") from None
        except (sqlite3.Error, SQLAlchemyError, RuntimeError, ConnectionError) as error:
            if not left or not isinstance(error, SQLAlchemyError):
                reason = _reason(error, url)
                # Without the error itself, which a traceback would print with whatever it quotes.
                raise ValueError(f"storage: {without_password(url)} cannot be opened ({reason})") from None
        time.sleep(_PAUSE)  # two processes began at the same time, and the other one is making the tables
    raise AssertionError("the last try returns or raises")


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Within, what a storage cannot do is said in one line, as where a disk is full.

    Raises:
        OSError: a storage failed.
    """
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        # What the database says, without the statement, which quotes half of the study.
        said = " ".join(str(cause.orig if isinstance(cause, DBAPIError) else cause).split())[:200]
        raise OSError(f"storage: {said}; what is finished is kept, and the same command goes on") from error


def _reason(error: Exception, url: str) -> str:
    """What an error says, in one line and without passwords."""
    text = " ".join(str(error).split())
    for secret in _secrets(url):
        text = text.replace(secret, _HIDDEN).replace(quote_plus(secret), _HIDDEN)
    return text[:200]


def _connect(url: str, beat: int, grace: int) -> RunStorage:
    place = make_url(url)
    if place.drivername == _PROXY:
        return _connect_proxy(place, beat)
    is_file = place.get_backend_name() == "sqlite" and place.database is not None
    if is_file:
        with contextlib.closing(sqlite3.connect(str(place.database))) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of heartbeats
        if place.get_backend_name() == "sqlite":
            # With several processes on one file each waits for its turn to write.
            options = {"connect_args": {"timeout": 60}} if is_file else {}
            return RDBStorage(url, engine_kwargs=options, heartbeat_interval=beat, grace_period=grace)
        # A connection that the server closed is noticed before it is used. One is kept, for the trials, so that a
        # hundred of them, as servers have by default, are enough for 64 workers; signs of life have one for a moment.
        pooled = {"pool_pre_ping": True, "pool_size": 1, "max_overflow": 3}
        return PatientStorage(url, engine_kwargs=pooled, heartbeat_interval=beat, grace_period=grace)


def _connect_proxy(place: URL, beat: int) -> PatientProxy:
    if not (place.host and place.port) or place.username or place.password or place.database or place.query:
        raise RuntimeError("no address of a proxy; allowed: grpc://HOST:PORT")
    # It is an extra, and takes a moment to import.
    from experiments.run.grpc_storage import PatientProxy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PatientProxy(f"[{place.host}]" if ":" in place.host else place.host, place.port, beat)
