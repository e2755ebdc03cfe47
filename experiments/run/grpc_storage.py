"""A database that many workers reach through one server: Optuna's gRPC proxy, with signs of life and with patience.

Optuna's proxy has no heartbeats. They go through it as attributes, so that they are on the database's clock whichever
way a worker comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage, _CachedStorage
from optuna.storages._grpc.auto_generated import api_pb2_grpc
from optuna.storages._grpc.client import GrpcClientCache
from optuna.storages._grpc.server import make_server
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import TrialState
from tenacity import retry_if_result

from experiments.run.patient_storage import PatientStorage, patiently

_BEAT = "fabric-bo:heartbeat"  # attribute of a trial that is written, and not kept
_STALE = "fabric-bo:stale"  # attribute of a study that is read: trials whose process gave no sign of life for long
_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
_ANSWER = 120  # seconds that an answer may take; a machine that vanished says nothing
_OPEN = 5  # seconds that the server may take to answer at first
_AGAIN = 2000  # milliseconds between two tries to connect; with gRPC's own two minutes a process would count as dead
_GRACE = 5  # seconds to finish calls when the server is stopped
_THREADS = 10  # that answer


class PatientProxy(GrpcStorageProxy, BaseHeartbeat):
    """A storage behind `fabric-bo serve-storage`, every call of which is tried again while the server is away.

    What holds for `PatientStorage` when an answer is lost holds here.

    Args:
        host: of the server.
        port: of it.
        beat: seconds between signs of life of a trial's process.

    Raises:
        ConnectionError: nobody answers.
    """

    def __init__(self, host: str, port: int, beat: int) -> None:
        super().__init__(host=host, port=port)
        self._beat = beat
        self.wait_server_ready(_OPEN)

    def _setup(self) -> None:
        """As Optuna's, over a channel with patience."""
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", _AGAIN),
            ("grpc.max_reconnect_backoff_ms", _AGAIN),
        ]
        channel = grpc.insecure_channel(f"{self._host}:{self._port}", options=options)
        self._channel = grpc.intercept_channel(channel, _Patience())
        self._stub = api_pb2_grpc.StorageServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._cache = GrpcClientCache(self._stub)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See `optuna.storages.BaseStorage`."""
        try:
            return super().set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            # It may have been this very call, of which the first answer was lost.
            told = self.get_trial(trial_id)
            if told.state == state and told.values == (None if values is None else [*values]):
                return True
            raise

    def record_heartbeat(self, trial_id: int) -> None:
        """See `optuna.storages._heartbeat.BaseHeartbeat`."""
        self.set_trial_system_attr(trial_id, _BEAT, None)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        try:
            found: list[int] = self.get_study_system_attrs(study_id)[_STALE]
        except KeyError:
            raise ValueError(
                f"storage: grpc://{self._host}:{self._port} is a proxy without signs of life; allowed: one that "
                "fabric-bo serve-storage began"
            ) from None
        return found

    def get_heartbeat_interval(self) -> int | None:
        """See `optuna.storages._heartbeat.BaseHeartbeat`."""
        return self._beat

    def get_heartbeat_stale_trial_callback(self) -> None:
        """See `optuna.storages._heartbeat.BaseHeartbeat`."""


class _Patience(grpc.UnaryUnaryClientInterceptor):
    """Tries a call again while the server is away."""

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        """See `grpc.UnaryUnaryClientInterceptor`."""
        details = client_call_details._replace(timeout=_ANSWER)
        is_away = retry_if_result(lambda call: call.code() in _AWAY)
        return patiently(is_away, threading.Event())(continuation, details, request)


class _Served(_CachedStorage):
    """A database as the proxy's clients see it."""

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if key == _BEAT:
            self.record_heartbeat(trial_id)
        else:
            super().set_trial_system_attr(trial_id, key, value)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {**super().get_study_system_attrs(study_id), _STALE: self._get_stale_trial_ids(study_id)}


def serve(storage: BaseStorage, host: str, port: int, ready: Callable[[], None]) -> None:
    """Serves a database until the process is asked to end; calls under way are finished then.

    Args:
        storage: the database.
        host: to listen on.
        port: likewise.
        ready: called when it listens.

    Raises:
        ValueError: the storage is no database, or one cannot listen there.
        KeyboardInterrupt: the process was asked to end.
    """
    if not isinstance(storage, RDBStorage):
        raise ValueError("storage: a proxy already; allowed: the URL of a database")
    try:
        server = make_server(_Served(storage), host, port, ThreadPoolExecutor(_THREADS))
    except RuntimeError as error:
        raise ValueError(f"host, port: cannot listen on {host}:{port} ({error})") from error
    server.start()
    try:
        ready()
        server.wait_for_termination()
    finally:
        server.stop(_GRACE).wait()
        if isinstance(storage, PatientStorage):
            storage.hurry.set()  # whoever still waits for the database holds up the end
