"""Kills with -9 at random moments, restarts at once and after the grace: nothing is lost, and nothing is done twice.

A moment is an amount of processor time, so that it may be within any line of Python or C, on fast machines and on slow
ones. The few kills of every day are 6; `make test-real` has 30 more.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from _pytest.mark import ParameterSet
from optuna.study import Study
from optuna.trial import TrialState

from experiments.bench.postgres import postgres
from experiments.cli import main
from experiments.comparison.compare import read_comparison
from experiments.run.optimize import read_run
from experiments.run.stopping import finished
from experiments.run.study import read_study
from optimizer.attributes import is_lost
from tests.experiments.run.tiny import same_trials, write_tiny
from tests.processes import Child

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills")]

_BEAT, _GRACE = 2, 10  # seconds; a machine that counts as dead was silent for both, and two beats more
_SHORTEST, _LONGEST = 0.05, 0.3  # that a process lives, of the processor time of the unbroken run; loading is a tenth
_WORKERS = 3
_TRIALS = 12
_PATIENCE = 900.0  # seconds that a whole run may take on a slow machine


def _few_and_many(few: int, many: int) -> list[ParameterSet]:
    return [pytest.param(few), pytest.param(many, marks=pytest.mark.real)]


def _main(machine: str | None, *words: str) -> int:
    """A command, with signs of life that come more often; as if on another machine, where one is named."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.run.store.BEAT", _BEAT)
        patch.setattr("experiments.run.store.GRACE", _GRACE)
        if machine is not None:
            patch.setattr("experiments.run.store._machine", lambda: machine)
        return main(["--quiet", *words])


def _wait(child: Child, seconds: float = math.inf) -> float:
    """Waits until a process has had so many seconds of processor time, or has ended; returns what it has had."""
    had = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child.pid)
        while child.alive and had < seconds:
            had = max(had, sum(process.cpu_times()[:2]))
            time.sleep(0.01)
    return had


class _Kills:
    """Ends processes at random moments.

    Args:
        seed: of the moments.
        whole: seconds of processor time of the unbroken run.

    Attributes:
        count: processes that were killed.
    """

    def __init__(self, seed: int, whole: float) -> None:
        self.chance = random.Random(seed)
        self.whole = whole
        self.count = 0

    def kill(self, child: Child) -> bool:
        """Kills a process after a while; False where it was done before."""
        seconds = self.whole * self.chance.uniform(_SHORTEST, _LONGEST)
        _wait(child, seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        code = child.wait(_PATIENCE)
        assert code in (0, -signal.SIGKILL), child.err[-2000:]
        self.count += code != 0
        return code != 0

    def rest(self) -> None:
        """As long as it takes until the next start: none, or more than the grace."""
        time.sleep(self.chance.choice([0, _GRACE + 2 * _BEAT + 1]))


def _check_whole(folder: Path, trials: int) -> Study:
    """Checks that a run lacks nothing and has nothing twice."""
    run = read_run(folder)
    done = finished(run.study)
    assert len(done) == trials
    tried = [run.plan.space.params(trial.params) for trial in done]
    assert all(tried.count(params) == 1 for params in tried)
    known = [run.plan.space.params(run.plan.space.values(params)) for params in run.plan.known_settings.values()]
    assert all(params in tried for params in known)
    others = [trial for trial in run.study.trials if trial not in done]
    assert {trial.state for trial in others} <= {TrialState.FAIL}
    assert all(is_lost(trial) for trial in others)
    return run.study


class _Whole(NamedTuple):
    """A run that nobody disturbs.

    Attributes:
        folder: of it.
        seconds: of processor time.
    """

    folder: Path
    seconds: float


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> _Whole:
    """In a process of its own: sums depend on where arrays lie in memory."""
    folder = tmp_path_factory.mktemp("whole")
    child = Child(_main, None, "optimize", str(write_tiny(folder / "run.yaml", folder / "run", trials=_TRIALS)))
    seconds = _wait(child)
    assert child.wait(_PATIENCE) == 0, child.err[-2000:]
    return _Whole(folder / "run", seconds)


@pytest.mark.parametrize("kills", _few_and_many(2, 8))
def test_one_worker_that_is_killed_again_and_again_has_the_unbroken_run(
    whole: _Whole, tmp_path: Path, kills: int
) -> None:
    killing = _Kills(0, whole.seconds)
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=_TRIALS)
    while killing.count < kills and killing.kill(Child(_main, None, "optimize", str(config))):
        killing.rest()
    last = Child(_main, None, "optimize", str(config))
    assert last.wait(_PATIENCE) == 0, last.err[-2000:]
    assert killing.count == kills
    same_trials(finished(_check_whole(tmp_path / "run", _TRIALS)), finished(read_study(whole.folder)[0]))
    (ours, _), (theirs, _) = (read_run(folder).recommended() for folder in (tmp_path / "run", whole.folder))
    assert ours.mean == pytest.approx(theirs.mean, abs=0.02)


@pytest.mark.parametrize("kills", _few_and_many(2, 8))
def test_workers_of_many_machines_that_are_killed_lose_and_repeat_nothing(
    whole: _Whole, tmp_path: Path, kills: int
) -> None:
    """What a dead worker was at is known by its silence alone, as on machines of a cluster."""
    killing, told = _Kills(1, whole.seconds), dict[int, float | None]()
    with postgres({"fsync": "off"}) as server:
        config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", storage=server.url, trials=2 * _TRIALS)
        places, starts = threading.Lock(), iter(range(1000))

        def begin() -> Child:
            with places:
                return Child(_main, f"machine {next(starts)}", "optimize", str(config))

        def lives() -> None:
            while killing.count < kills and killing.kill(begin()):
                killing.rest()

        threads = [threading.Thread(target=lives) for _ in range(_WORKERS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            if (tmp_path / "run" / "config.yaml").exists():
                now = {trial.number: trial.value for trial in finished(read_study(tmp_path / "run")[0])}
                assert now.items() >= told.items()
                told = now
        last = [begin(), begin()]
        assert [child.wait(_PATIENCE) for child in last] == [0, 0], [child.err[-2000:] for child in last]
        assert killing.count >= kills  # the threads count each for itself
        study = _check_whole(tmp_path / "run", 2 * _TRIALS)
        assert {trial.number: trial.value for trial in finished(study)}.items() >= told.items()


@contextlib.contextmanager
def _killing_actors(folder: Path, killing: _Kills, kills: int) -> Iterator[None]:
    """Within, the processes of trials that are under way are killed, so many in all."""
    over = threading.Event()

    def kill() -> None:
        while killing.count < kills and not over.wait(killing.chance.uniform(0.5, 4)):
            if (folder / "config.yaml").exists():
                trials = read_study(folder)[0].get_trials(deepcopy=False, states=(TrialState.RUNNING,))
                pids = [trial.user_attrs["worker"]["pid"] for trial in trials if "worker" in trial.user_attrs]
                if pids:
                    with contextlib.suppress(ProcessLookupError):  # dead already
                        os.kill(killing.chance.choice(pids), signal.SIGKILL)
                        killing.count += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.real
def test_actors_that_are_killed_lose_and_repeat_nothing(tmp_path: Path) -> None:
    killing, config = _Kills(2, 0.0), write_tiny(tmp_path / "run.yaml", tmp_path / "run", trials=2 * _TRIALS, workers=2)
    with _killing_actors(tmp_path / "run", killing, 6):
        # Ray is polite: on a busy machine its workers would never begin.
        child = Child(_main, None, "optimize", str(config), environment={"RAY_worker_niceness": "0"})
        assert child.wait(_PATIENCE) == 0, child.err[-2000:]
    assert killing.count == 6
    _check_whole(tmp_path / "run", 2 * _TRIALS)


@pytest.mark.parametrize("kills", _few_and_many(1, 4))
@pytest.mark.parametrize(
    ("command", "complete"),
    [
        ("compare", lambda folder: read_comparison(folder) is not None),
        ("report", lambda folder: (folder / "report.html").read_text().rstrip().endswith("</html>")),
    ],
)
def test_what_writes_a_comparison_or_a_report_leaves_it_whole_or_not_at_all(
    whole: _Whole, tmp_path: Path, command: str, complete: Callable[[Path], bool], kills: int
) -> None:
    folder, killing = tmp_path / "run", _Kills(3, whole.seconds)
    shutil.copytree(whole.folder, folder)
    result = folder / {"compare": "comparison.json", "report": "report.html"}[command]
    for _ in range(kills):
        killing.kill(Child(_main, None, command, str(folder)))
        assert not result.exists() or complete(folder)
    last = Child(_main, None, command, str(folder))
    assert last.wait(_PATIENCE) == 0, last.err[-2000:]
    assert killing.count == kills
    assert complete(folder)
    same_trials(finished(_check_whole(folder, _TRIALS)), finished(read_study(whole.folder)[0]))
