"""Runs that are killed, and several processes on one study."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.cli import main
from experiments.run.kept_images import key_without_feedback
from experiments.run.optimize import Run, optimize
from experiments.run.plain_scores import PLAIN
from experiments.run.plan import Plan
from experiments.run.stopping import finished
from experiments.run.store import Store, running
from experiments.run.study import read_study
from fabric.generator import FabricGenerator, Request
from optimizer.attributes import is_lost
from tests.experiments.run.tiny import TWO_PROMPTS, same_trials, tiny_config, write_tiny
from tests.processes import Child, command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return optimize(Plan.of(tiny_config(tmp_path_factory.mktemp("run"), scenes=TWO_PROMPTS)))


def _run_until_killed(module: str, owner: str, name: str, when: int, config: str) -> int:
    """Runs until a method is called for so many times."""
    cls = getattr(importlib.import_module(module), owner)
    inner, calls = getattr(cls, name), []

    def until_killed(*args: object, **kwargs: object) -> object:
        calls.append(name)
        if len(calls) == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **kwargs)

    setattr(cls, name, until_killed)
    return main(["optimize", config])


_MOMENTS = {
    "before anything is generated": ("experiments.run.plain_scores", "PlainScores", "__call__", 1),
    "between two pictures": ("experiments.run.trials", "Runner", "_upload", 4),
    "written, but not told": ("optuna.study", "Study", "tell", 2),
}
_NO_HEARTBEAT = ("experiments.run.store", "Store", "claim", 2)


def _kill(config: Path, moment: tuple[str, str, str, int]) -> None:
    child = Child(_run_until_killed, *moment, str(config))
    assert child.wait() == -signal.SIGKILL, child.err[-2000:]


def test_a_run_that_is_killed_again_and_again_is_the_unbroken_run(whole: Run, tmp_path: Path) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", scenes=TWO_PROMPTS)
    for moment in _MOMENTS.values():
        _kill(config, moment)
    study = optimize(Plan.of(tiny_config(tmp_path / "run", scenes=TWO_PROMPTS))).study
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.FAIL}
    same_trials(finished(study), whole.study.trials)


def test_a_run_that_is_killed_before_a_heartbeat_tries_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is given again once it counts as dead, when others were tried; at random they do not depend on it."""
    whole = optimize(Plan.of(tiny_config(tmp_path / "whole", sampler="random", trials=4))).study.trials
    _kill(write_tiny(tmp_path / "run.yaml", tmp_path / "run", sampler="random", trials=4), _NO_HEARTBEAT)
    monkeypatch.setattr("experiments.run.store.GRACE", 1)
    told = finished(optimize(Plan.of(tiny_config(tmp_path / "run", sampler="random", trials=4))).study)
    assert len(told) == len(whole)
    same_trials(sorted(told, key=_strength), sorted(whole, key=_strength))


def _strength(trial: FrozenTrial) -> float:
    return float(trial.params["strength"])


def test_a_trial_without_a_heartbeat_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.run.store.GRACE", 1)
    optimize(Plan.of(tiny_config(tmp_path, trials=1))).study.ask()
    time.sleep(2)
    assert [trial.state.name for trial in optimize(Plan.of(tiny_config(tmp_path, trials=2))).study.trials] == [
        "COMPLETE",
        "FAIL",
        "COMPLETE",
    ]


def _run_with_notes(notes: Path, die_at: Path | None, config: str) -> int:
    """Runs and notes the images without feedback that it makes; kills itself at the third once a file is there."""
    inner = FabricGenerator.__call__

    def noted(self: FabricGenerator, requests: Sequence[Request], *args: Any, **kwargs: Any) -> Any:
        plain = [request for request in requests if key_without_feedback(request) is not None]
        if plain and die_at is not None and notes.exists() and len(notes.read_text().splitlines()) >= 2:
            while not die_at.exists():
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        with notes.open("a") as file:
            file.writelines(f"{os.getpid()} {request.seed} {request.prompt}\n" for request in plain)
        return inner(self, requests, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FabricGenerator, "__call__", noted)
        return main(["--quiet", "optimize", config])


def test_images_without_feedback_are_shared_out_and_made_once_and_what_a_dead_worker_was_at_is_taken_over(
    whole: Run, tmp_path: Path
) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", scenes=TWO_PROMPTS, trials=4)
    notes, die_at = tmp_path / "notes", tmp_path / "die"

    def noted() -> list[list[str]]:
        """Process, seed and prompt of each image."""
        return [line.split(maxsplit=2) for line in notes.read_text().splitlines()] if notes.exists() else []

    first = Child(_run_with_notes, notes, die_at, str(config))
    while len(noted()) < 2:
        time.sleep(0.1)
    others = [Child(_run_with_notes, notes, None, str(config)) for _ in range(2)]
    study, _ = read_study(tmp_path / "run")
    while len(noted()) < 6 or len(running(study)) < 3:
        time.sleep(0.1)
    time.sleep(2)  # they could begin with what the first one is at
    assert len(noted()) == 6
    assert len({prompt for pid, _, prompt in noted() if int(pid) != first.pid}) == 1
    die_at.touch()
    assert [child.wait() for child in (first, *others)] == [-signal.SIGKILL, 0, 0], [child.err for child in others]
    made = [(seed, prompt) for _, seed, prompt in noted()]
    assert len(set(made)) == len(made)
    plain = study.user_attrs[PLAIN]
    assert len(made) == np.size(plain)
    np.testing.assert_allclose(plain, whole.study.user_attrs[PLAIN], atol=0.02)
    known, found = (
        {str(sorted(trial.params.items())): trial.value for trial in trials}
        for trials in (whole.study.trials[:3], finished(study))
    )
    assert {name: found.get(name) for name in known} == pytest.approx(known, abs=0.02)


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=4)
    for child in [command("optimize", str(config)) for _ in range(2)]:
        assert child.wait() == 0, child.err[-2000:]
    study, _ = read_study(tmp_path / "run")
    done = finished(study)
    assert 4 <= len(done) <= 5  # the last may be asked for twice
    assert len({str(trial.params) for trial in done}) == len(done)


def test_a_run_that_is_asked_to_end_does_so_at_once_and_loses_nothing(tmp_path: Path) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=40)
    child = command("optimize", str(config))
    while not (tmp_path / "run" / "config.yaml").exists() or len(read_study(tmp_path / "run")[0].trials) < 3:
        time.sleep(0.2)
    child.terminate()
    assert child.wait() == 128 + signal.SIGTERM
    assert "stopped; what is finished is in" in child.err
    assert "Traceback" not in child.err
    study, _ = read_study(tmp_path / "run")
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]
    assert all(is_lost(trial) for trial in study.trials if trial.state == TrialState.FAIL)


def test_a_trial_whose_worker_was_killed_is_lost_however_late_the_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.run.store.BEAT", 1)
    monkeypatch.setattr("experiments.run.store.GRACE", 2)
    _kill(
        write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=2),
        ("experiments.run.trials", "Runner", "_upload", 1),
    )
    time.sleep(3)  # its heartbeat is stale
    study = optimize(Plan.of(tiny_config(tmp_path / "run", trials=2))).study
    (failed,) = (trial for trial in study.trials if trial.state == TrialState.FAIL)
    assert is_lost(failed)
    assert finished(study)[0].params == failed.params


def test_a_trial_that_others_gave_up_while_it_was_asked_for_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, given_up = Store.claim, list[int]()

    def claim(self: Store, trial: Trial) -> None:
        inner(self, trial)
        if not given_up:  # as if this machine had slept
            given_up.append(trial.number)
            self.study.tell(trial.number, state=TrialState.FAIL)

    monkeypatch.setattr(Store, "claim", claim)
    study = optimize(Plan.of(tiny_config(tmp_path, trials=2))).study
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert given_up == [0]
