"""Rough weather: full and read-only disks, clocks that are set, stores that are away, machines that sleep."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import optuna
import pytest
from moto.server import ThreadedMotoServer
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from PIL import Image

from experiments.cli import main
from experiments.run.artifacts import Artifacts
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from experiments.run.stopping import finished
from experiments.run.store import Store, open_storage
from experiments.run.study import read_study
from objectives.testing import sample_images
from optimizer.attributes import is_lost
from tests.experiments.run.tiny import tiny_config, write_tiny

_KILOBYTES = 400


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, almost full as soon as there is a study on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0 or not _mount("-t", "tmpfs", "-o", f"size={_KILOBYTES}k", "tmpfs", str(disk)):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=False)


def _mount(*options: str) -> bool:
    return subprocess.run(["mount", *options], check=False, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.slow
@pytest.mark.xdist_group("failures")
def test_a_full_disk_is_one_line_and_costs_nothing_once_there_is_space(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_tiny(tmp_path / "run.yaml", small_disk / "run", sampler="random", trials=4)
    assert main(["--quiet", "optimize", str(config)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "full" in line or "No space left" in line
    assert _mount("-o", "remount,size=20m", str(small_disk))
    assert main(["--quiet", "optimize", str(config)]) == 0
    study, _ = read_study(small_disk / "run")
    assert len(finished(study)) == 4
    assert all(is_lost(trial) for trial in study.trials if trial.state == TrialState.FAIL)
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]


def test_a_read_only_disk_is_one_line(small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _mount("-o", "remount,ro", str(small_disk))
    config = write_tiny(tmp_path / "run.yaml", small_disk / "run")
    assert main(["--quiet", "optimize", str(config)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Read-only" in line


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A study whose processes give a sign of life every moment."""
    monkeypatch.setattr("experiments.run.store.BEAT", 0.2)
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    return Store(optuna.create_study(storage=storage, study_name="run"), storage)


def _set_clock(folder: Path, hours: int) -> None:
    """What a study looks like after its clock was set."""
    with sqlite3.connect(folder / "study.db") as database:
        for table, column in (("trial_heartbeats", "heartbeat"), ("trials", "datetime_start")):
            database.execute(f"UPDATE {table} SET {column} = datetime({column}, '{-hours} hours')")


def _elsewhere(store: Store, **changes: object) -> optuna.Trial:
    """A trial of another process."""
    trial = store.ask({})
    trial.set_user_attr("worker", {**trial.user_attrs["worker"], **changes})
    return trial


def _states(store: Store) -> list[TrialState]:
    return [trial.state for trial in store.study.trials]


@pytest.mark.parametrize("hours", [-1, 1])
def test_who_lives_is_not_given_up_when_a_clock_is_set(store: Store, tmp_path: Path, hours: int) -> None:
    trial = _elsewhere(store, host="elsewhere")
    _set_clock(tmp_path, hours)
    store.reap()
    store.storage.record_heartbeat(trial._trial_id)  # within moments, as it lives
    time.sleep(0.6)
    store.reap()
    assert _states(store) == [TrialState.RUNNING]


@pytest.mark.parametrize("hours", [-1, 1])
def test_who_is_dead_is_given_up_when_a_clock_is_set(store: Store, tmp_path: Path, hours: int) -> None:
    _elsewhere(store, since=0)  # a process number that is somebody else's by now
    _set_clock(tmp_path, hours)
    store.reap()
    (trial,) = store.study.trials
    assert trial.state == TrialState.FAIL
    assert is_lost(trial)


def test_who_is_silent_elsewhere_is_given_up_after_a_while(store: Store, tmp_path: Path) -> None:
    _elsewhere(store, host="elsewhere")
    _set_clock(tmp_path, 1)
    store.reap()
    assert _states(store) == [TrialState.RUNNING]
    time.sleep(0.6)
    store.reap()
    assert _states(store) == [TrialState.FAIL]


@pytest.mark.slow
@pytest.mark.xdist_group("failures")
def test_a_worker_that_was_given_up_goes_on_with_other_trials(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "from pathlib import Path\n"
        "from optuna.trial import TrialState\n"
        "from experiments.run.study import read_study\n"
        "def mine(images, prompts):\n"
        f"    study, _ = read_study(Path({str(tmp_path / 'run')!r}))\n"
        "    if [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]:\n"
        "        study.tell(1, state=TrialState.FAIL)  # as another worker does when this one sleeps\n"
        "    return [float(image.getpixel((0, 0))[0]) for image in images]\n"
    )
    config = tiny_config(tmp_path / "run", objective=f"{plug_in}:mine", sampler="random", trials=3)
    study = optimize(Plan.of(config)).study
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert is_lost(study.trials[1])
    assert study.trials[2].params == study.trials[1].params


def test_a_picture_store_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    boto3.client("s3").create_bucket(Bucket="pictures")
    (picture,) = sample_images(1, (32, 32))
    study = optuna.create_study()
    server.stop()
    monkeypatch.setattr("experiments.run.patient_storage._LONGEST", 1)
    with pytest.raises(ConnectionError, match=r"^artifacts: no answer for .* minutes; what is finished is kept$"):
        Artifacts(tmp_path / "here", "s3://pictures/run").upload(study.ask(), {"picture.png": picture})
    monkeypatch.setattr("experiments.run.patient_storage._LONGEST", 60)
    again = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    timer = threading.Timer(2, again.start)
    timer.start()
    trial = study.ask()
    Artifacts(tmp_path / "here", "s3://pictures/run").upload(trial, {"picture.png": picture})
    timer.join()
    (kept,) = get_all_artifact_meta(trial, storage=study._storage)
    path = Artifacts(tmp_path / "there", "s3://pictures/run").path(kept.artifact_id)
    with Image.open(path) as read:
        assert read.tobytes() == picture.tobytes()
    again.stop()
    assert not capsys.readouterr().err
