"""One run on several machines: a real database server, a real object store, workers that come, go and die."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import optuna
import pytest
from moto.server import ThreadedMotoServer
from optuna.trial import TrialState

from experiments.bench.postgres import Postgres, postgres
from experiments.cli import main
from experiments.report.findings import read_findings
from experiments.report.pictures import run_pictures
from experiments.run.overview import overview
from experiments.run.stopping import finished
from experiments.run.store import open_storage
from experiments.run.study import join_study, read_study
from fabric.generator import FabricGenerator, Request
from objectives.testing import sample_images
from tests.experiments.people.raters import answer_all, answering, read_questions
from tests.experiments.run.test_kills import _run_until_killed
from tests.experiments.run.tiny import same_trials, write_tiny
from tests.processes import Child, command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machines")]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres({"fsync": "off"}) as one:
        yield one


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An object store with a bucket `pictures`; what a process needs to reach it."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-store",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="pictures")
    yield environment
    moto.stop()


def _with_pictures(folder: Path, **changes: object) -> Path:
    """A configuration whose feedback and targets are files."""
    names = ("target", "liked")
    for name, picture in zip(names, sample_images(2, (32, 32)), strict=True):
        picture.save(folder / f"{name}.png")
    task = {
        "prompt": "a red star at night",
        "targets": [str(folder / "target.png")],
        "liked": [str(folder / "liked.png")],
    }
    return write_tiny(folder / "run.yaml", folder / "first", scenes=None, prompts=[task], **changes)


def test_workers_elsewhere_need_storage_artifacts_and_credentials_and_nothing_else(
    server: Postgres, bucket: dict[str, str], tmp_path: Path
) -> None:
    config = _with_pictures(
        tmp_path, trials=8, study="pictured", storage=server.url, artifacts="s3://pictures/runs/pictured"
    )
    # The run begins and is stopped; its files are then taken away, as on another machine.
    assert main(["--quiet", "optimize", str(config), "--trials", "1"]) == 0
    for name in ("target", "liked"):
        (tmp_path / f"{name}.png").unlink()
    storage = open_storage(server.url)
    study = join_study(server.url, "pictured").study
    values = study.user_attrs["fabric-bo:config"]
    study.set_user_attr("fabric-bo:config", {**values, "trials": 8})
    workers = [
        command("worker", "pictured", "--storage", server.url, "--output", str(tmp_path / f"worker-{k}"))
        for k in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0], [worker.err[-1000:] for worker in workers]
    assert len(finished(study)) == 8
    (found,) = [each for each in overview(storage) if each.name == "pictured"]
    assert (found.finished, found.trials, found.state) == (8, 8, "finished")
    fifth = tmp_path / "fifth"
    assert main(["--quiet", "worker", "pictured", "--storage", server.url, "--output", str(fifth)]) == 0
    assert main(["--quiet", "report", str(fifth)]) == 0
    (row,) = run_pictures(read_findings(fifth))
    assert len(row.columns) >= 1
    assert row.targets
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"secret-of-the-store" in content for content in written)


def test_what_people_rate_is_seen_anywhere_and_who_takes_up_a_trial_has_its_images(
    server: Postgres, bucket: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies while people are asked; they rate on a machine that never worked, another goes on elsewhere."""
    images = 2
    values = {
        "study": "rated",
        "storage": server.url,
        "artifacts": "s3://pictures/runs/rated",
        "protocol": {"rounds": 1, "images": images, "steps": 2, "batch": 2, "size": [32, 32]},
        "scenes": {"count": 1, "seed": 1, "board": 2},  # with feedback from the start
    }
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "first", objective="human", trials=2, **values)
    child = Child(_run_until_killed, "experiments.run.progress", "TrialProgress", "waits", 1, str(config))
    assert child.wait() == -signal.SIGKILL, child.err[-2000:]
    shutil.rmtree(tmp_path / "first")  # it was another machine
    rating = tmp_path / "rated"
    assert main(["rate", str(rating), "--storage", server.url, "--raters"]) == 0
    questions = read_questions(rating)
    assert answer_all(questions, "ann") == len(questions.asked) > images
    made: list[Request] = []
    generate = FabricGenerator.__call__

    def noted(self: FabricGenerator, requests: Sequence[Request], *args: Any, **kwargs: Any) -> Any:
        made.extend(requests)
        return generate(self, requests, *args, **kwargs)

    monkeypatch.setattr(FabricGenerator, "__call__", noted)
    with answering(rating):
        assert main(["--quiet", "worker", "rated", "--storage", server.url, "--output", str(tmp_path / "second")]) == 0
    study, _ = read_study(rating)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert len(made) == images  # those of the second trial
    assert {request.params.to_dict()["strength"] for request in made} == {study.trials[1].params["strength"]}


def test_runs_in_one_database_do_not_see_each_other(
    server: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        config = write_tiny(tmp_path / f"{name}.yaml", tmp_path / name, storage=server.url, trials=2, seed=seed)
        assert main(["--quiet", "optimize", str(config)]) == 0
    one, two = (read_study(tmp_path / name)[0] for name in ("one", "two"))
    assert len(one.trials) == len(two.trials) == 2
    capsys.readouterr()
    assert main(["runs", "--storage", server.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("one", "two"))] == ["one", "two"]
    assert all("finished" in line and "2/2" in line for line in lines if line.startswith(("one", "two")))
    assert main(["--quiet", "worker", "three", "--storage", server.url]) == 2
    assert "name: 'three' is not in postgresql://" in capsys.readouterr().err


def test_a_run_outlives_restarts_of_its_database(server: Postgres, tmp_path: Path) -> None:
    # In a process of its own as well: sums depend on where arrays lie in memory, and flat acquisitions show it.
    assert command("--quiet", "optimize", str(write_tiny(tmp_path / "whole.yaml", tmp_path / "whole"))).wait() == 0
    whole, _ = read_study(tmp_path / "whole")
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", storage=server.url)
    worker = command("--quiet", "optimize", str(config))
    for _ in range(2):
        time.sleep(4)
        server.stop()
        time.sleep(2)
        server.start()
    assert worker.wait() == 0, worker.err[-2000:]
    assert "Traceback" not in worker.err
    study, _ = read_study(tmp_path / "run")
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]
    same_trials(finished(study), whole.trials)


def test_workers_that_are_killed_at_any_moment_lose_and_repeat_nothing(server: Postgres, tmp_path: Path) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", storage=server.url, trials=8)
    chance = random.Random(0)

    def begin() -> Child:
        return command("--quiet", "optimize", str(config))

    workers = [begin(), begin()]
    while not (tmp_path / "run" / "config.yaml").exists():
        time.sleep(0.1)
    for _ in range(6):
        workers = [worker if worker.alive else begin() for worker in workers]
        time.sleep(chance.uniform(1, 5))
        with contextlib.suppress(ProcessLookupError):  # the run is over
            os.kill(chance.choice(workers).pid, signal.SIGKILL)
    last = begin()
    for worker in [*workers, last]:
        assert worker.wait() in (0, -signal.SIGKILL), worker.err[-2000:]
    study, _ = read_study(tmp_path / "run")
    assert len(finished(study)) == 8
    told = [tuple(sorted(trial.params.items())) for trial in finished(study)]
    assert len(set(told)) == len(told)
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ftp://x/y", "artifacts: ftp://x is no place for pictures"),
        ("s3://", "artifacts: s3:// is no place for pictures"),
        ("s3://key:secret@bucket/p", "artifacts: s3://bucket is no place for pictures"),
    ],
)
def test_what_is_no_place_for_pictures_is_refused_without_its_secret(
    tmp_path: Path, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", artifacts=value)
    assert main(["--quiet", "optimize", str(config)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "secret" not in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_overview_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    optuna.create_study(storage=url, study_name="somebody else's")
    assert main(["runs", "--storage", url]) == 0
    assert capsys.readouterr().out.strip() == "no run was begun there"
