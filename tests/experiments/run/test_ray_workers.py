"""Workers that Ray places, starts again and stops."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from experiments.cli import main
from experiments.run.ray_workers import _check_cluster
from experiments.run.stopping import finished
from experiments.run.study import read_study
from tests.experiments.run.tiny import tiny_config, write_tiny


@pytest.mark.slow
@pytest.mark.xdist_group("machines")
def test_workers_share_a_run_and_one_that_is_killed_is_started_again(tmp_path: Path) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=8, workers=2)
    killed: list[int] = []

    def kill() -> None:
        """Kills the process of the first trial that is under way."""
        while not killed:
            time.sleep(0.1)
            if (tmp_path / "run" / "study.db").exists() and (tmp_path / "run" / "config.yaml").exists():
                for trial in read_study(tmp_path / "run")[0].get_trials(deepcopy=False):
                    if trial.state == TrialState.RUNNING and "worker" in trial.user_attrs:
                        killed.append(trial.user_attrs["worker"]["pid"])
                        os.kill(killed[0], signal.SIGKILL)
                        break

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    assert main(["--quiet", "optimize", str(config)]) == 0
    killer.join(1)
    study, _ = read_study(tmp_path / "run")
    assert killed
    assert len(finished(study)) == 8
    assert {trial.user_attrs["worker"]["pid"] for trial in finished(study)} - set(killed)
    assert len({tuple(sorted(trial.params.items())) for trial in finished(study)}) == 8
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]
    assert main(["--quiet", "report", str(tmp_path / "run")]) == 0
    assert not [each for each in psutil.process_iter(["name"]) if "raylet" in (each.info["name"] or "")]


@pytest.mark.slow
@pytest.mark.xdist_group("machines")
def test_what_a_worker_refuses_leaves_no_study_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", workers=2)
    assert main(["--quiet", "optimize", str(config), "--set", "protocol.size=[63, 64]"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]  # Ray says something before
    assert line.startswith("error: ")
    assert "size" in line
    assert not (tmp_path / "run").exists()


def test_a_cluster_needs_what_all_machines_reach(tmp_path: Path) -> None:
    _check_cluster(tiny_config(tmp_path), 1)
    with pytest.raises(ValueError, match="storage, artifacts: in the run's folder, which 3 machines do not share"):
        _check_cluster(tiny_config(tmp_path), 3)
    _check_cluster(tiny_config(tmp_path, storage="postgresql://me@host/runs", artifacts="s3://bucket/runs"), 3)
