"""A run through a proxy: the same run, whatever becomes of the proxy meanwhile."""

from __future__ import annotations

import socket
import sqlite3
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._grpc.server import make_server
from optuna.trial import TrialState

from experiments.bench.postgres import postgres
from experiments.cli import main
from experiments.run.stopping import finished
from experiments.run.store import Store, open_storage
from experiments.run.study import read_study
from tests.experiments.run.tiny import same_trials, write_tiny
from tests.processes import Child, command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machines")]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _proxy(url: str, port: int) -> Child:
    """A proxy that listens."""
    child = command("serve-storage", "--storage", url, "--port", str(port))
    assert f"grpc://127.0.0.1:{port}" in child.line()
    return child


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_a_run_through_a_proxy_that_dies_and_comes_back_is_the_run_on_the_file(tmp_path: Path) -> None:
    # In a process of its own as well: sums depend on where arrays lie in memory, and flat acquisitions show it.
    assert command("--quiet", "optimize", str(write_tiny(tmp_path / "whole.yaml", tmp_path / "whole"))).wait() == 0
    whole, _ = read_study(tmp_path / "whole")
    port = _free_port()
    with postgres({"fsync": "off"}) as server:
        proxy = _proxy(server.url, port)
        config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", storage=f"grpc://127.0.0.1:{port}")
        worker = command("--quiet", "optimize", str(config))
        while not (tmp_path / "run" / "config.yaml").exists() and worker.alive:
            time.sleep(0.1)
        for stop in (Child.kill, Child.terminate):
            time.sleep(2)
            stop(proxy)
            time.sleep(2)
            proxy = _proxy(server.url, port)
        assert worker.wait() == 0, worker.err[-2000:]
        assert "Traceback" not in worker.err
        study, _ = read_study(tmp_path / "run")
        assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]
        same_trials(finished(study), whole.trials)
        # Whoever reaches the database itself sees the same.
        direct = optuna.load_study(study_name="run", storage=open_storage(server.url))
        assert [trial.params for trial in direct.trials] == [trial.params for trial in study.trials]
        proxy.terminate()
        assert proxy.wait() == 0
        assert "Traceback" not in proxy.err


def test_signs_of_life_go_through_a_proxy_on_the_clock_of_the_database(file: Path) -> None:
    port = _free_port()
    proxy = _proxy(f"sqlite:///{file}", port)
    storage = open_storage(f"grpc://127.0.0.1:{port}")
    store = Store(optuna.create_study(storage=storage, study_name="run"), storage)
    trial = store.ask({})
    study = store.study._study_id
    assert storage._get_stale_trial_ids(study) == []
    with sqlite3.connect(file) as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")
    assert storage._get_stale_trial_ids(study) == [trial._trial_id]
    with store.alive([trial]):
        assert storage._get_stale_trial_ids(study) == []
    assert not store.study.trials[0].system_attrs  # nothing of it is left in the trial
    proxy.terminate()


def test_the_end_of_a_trial_may_be_told_twice(file: Path) -> None:
    port = _free_port()
    proxy = _proxy(f"sqlite:///{file}", port)
    storage = open_storage(f"grpc://127.0.0.1:{port}")
    trial = optuna.create_study(storage=storage).ask()._trial_id
    assert storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])  # as after an answer that was lost
    for state, values in ((TrialState.COMPLETE, [2.0]), (TrialState.FAIL, None)):
        with pytest.raises(UpdateFinishedTrialError):
            storage.set_trial_state_values(trial, state, values)
    proxy.terminate()


def test_a_proxy_without_signs_of_life_is_refused(file: Path) -> None:
    port = _free_port()
    server = make_server(RDBStorage(f"sqlite:///{file}"), "127.0.0.1", port)
    server.start()
    try:
        storage = open_storage(f"grpc://127.0.0.1:{port}")
        store = Store(optuna.create_study(storage=storage), storage)
        with pytest.raises(ValueError, match=r"signs of life; allowed: one that fabric-bo serve-storage began$"):
            store.reap()
    finally:
        server.stop(None).wait()


def test_a_storage_that_stays_away_is_an_error_in_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.run.patient_storage._LONGEST", 1)
    port = _free_port()
    proxy = _proxy(f"sqlite:///{file}", port)
    storage = open_storage(f"grpc://127.0.0.1:{port}")
    proxy.kill()
    with pytest.raises(ConnectionError, match=r"^storage: no answer for .* what is finished is kept$"):
        storage.get_all_studies()


@pytest.mark.parametrize("command", [["runs", "--storage", "grpc://127.0.0.1:1"], ["serve-storage"]])
def test_what_is_missing_is_named_with_the_command_that_installs_it(
    command: list[str], file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FABRIC_BO_STORAGE", f"sqlite:///{file}")
    monkeypatch.delitem(sys.modules, "experiments.run.grpc_storage", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert main([*command]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'fabric-bo[grpc]'" in line
    assert not file.exists()
