"""A worker of a run whose GPU is simulated: the run's own code, with a watch on what its time goes to.

Where the clock of the GPU runs faster than the world's, what the worker itself does would seem to take longer than it
does. So its time is taken apart:

* generating counts as the GPU's seconds, however fast its clock runs;
* waiting until other workers' GPUs are done counts as seconds of the GPU's clock too;
* asking, telling, learning and whatever else count as they are, less the time for which a processor was not free: each
  worker of a real cluster has its own, here all share those of one machine. What they wait for the database and each
  other counts, although sped-up workers meet there more often than real ones.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import optuna
import psutil
import torch
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial

from experiments.bench.simulated_gpu import HiddenOptimum, SimulatedGpu, image_noise
from experiments.config.read import check_config
from experiments.run.cached_generator import CachedGenerator
from experiments.run.optimize import begin, work
from experiments.run.plan import Plan
from experiments.run.progress import Progress
from experiments.run.store import Store
from fabric.generator import Generated

GENERATE, WAIT, ASK, TELL, LEARN, OTHER = "generating", "waiting", "asking", "telling", "learning", "other"
"""What a worker's time goes to."""

RESULT = "spent.json"
"""File in a worker's folder."""

_SCHEDULE = Path("/proc/thread-self/schedstat")  # nanoseconds that this thread ran, and that it waited for a processor


@dataclass(frozen=True)
class Spent:
    """Time of a thread, in seconds.

    Attributes:
        wall: that passed.
        computed: for which it had a processor.
        queued: for which it waited for one.
    """

    wall: float
    computed: float
    queued: float

    @classmethod
    def now(cls) -> Spent:
        """Of the calling thread so far."""
        queued = int(_SCHEDULE.read_text().split()[1]) / 1e9 if _SCHEDULE.exists() else 0.0
        return cls(time.perf_counter(), time.thread_time(), queued)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.wall - other.wall, self.computed - other.computed, self.queued - other.queued)

    @property
    def alone(self) -> float:
        """What it would have taken with a processor of its own."""
        return self.wall - self.queued


class _Watch:
    """Notes what asking, telling, learning, generating and waiting for others take.

    Attributes:
        spent: what each of them took, by name.
    """

    def __init__(self) -> None:
        self.spent: dict[str, list[Spent]] = {name: [] for name in (GENERATE, WAIT, ASK, TELL, LEARN)}
        self._began: dict[str, Spent] = {}

    def begin(self, name: str) -> None:
        """Something begins, now or after all: only from here on it counts."""
        self._began[name] = Spent.now()

    def end(self, name: str) -> bool:
        """It is over, if it had begun; returns whether it had."""
        began = self._began.pop(name, None)
        if began is not None:
            self.spent[name].append(Spent.now() - began)
        return began is not None

    def drop(self, name: str) -> None:
        """It was nothing of the kind."""
        self._began.pop(name, None)


class _WatchedGpu(SimulatedGpu):
    """Notes when it is at work; what comes after its last image is telling."""

    watch: _Watch
    images = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Generated:
        """See `FabricGenerator`."""
        self.watch.end(WAIT)
        self.watch.begin(GENERATE)
        made = super().__call__(*args, **kwargs)
        self.watch.end(GENERATE)
        self.watch.begin(TELL)
        self.images += len(made.prompts)
        return made


class _WatchedStore(Store):
    """Notes what is done with trials, and waited for.

    Args:
        store: of the run.
        watch: notes it.
    """

    def __init__(self, store: Store, watch: _Watch) -> None:
        super().__init__(store.study, store.storage)
        self.watch = watch

    def ask(self, space: Mapping[str, BaseDistribution]) -> Trial:
        """See `Store`."""
        self.watch.drop(WAIT)
        self.watch.begin(ASK)
        trial = super().ask(space)
        self.watch.end(ASK)
        return trial

    def others(self) -> list[FrozenTrial]:
        """See `Store`; asked again and again as long as others are at what a trial needs."""
        self.watch.end(WAIT)
        found = super().others()
        if found:
            self.watch.begin(WAIT)
        return found

    @contextlib.contextmanager
    def alive(self, trials: Sequence[Trial]) -> Iterator[None]:
        """See `Store`; trials are asked for or told within."""
        with super().alive(trials):
            yield
        if self.watch.end(TELL):
            self.watch.begin(LEARN)

    def reap(self) -> None:
        """See `Store`; called when a worker has learnt from what it told, and again and again where nothing is left."""
        self.watch.end(LEARN)
        self.watch.end(WAIT)
        super().reap()
        self.watch.begin(WAIT)


def simulate(values: Mapping[str, Any], seconds: float, speed: float, seed: int, start: Barrier) -> None:
    """Works on a run until it is over, and writes what that took into its folder.

    Args:
        values: of the run's configuration.
        seconds: of the GPU's clock that an image takes.
        speed: of the GPU's clock, over that of the world.
        seed: of the place of the optimum.
        start: all workers of the run begin at once.
    """
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    config = check_config(dict(values))
    plan = Plan.of(config)
    watch = _Watch()
    gpu = _WatchedGpu(HiddenOptimum(plan, seed), seconds / speed, image_noise(plan))
    gpu.watch = watch
    with Progress(quiet=True) as progress:
        store = _WatchedStore(begin(plan), watch)
        start.wait()
        began = Spent.now()
        work(plan, CachedGenerator(gpu, plan.protocol), store, progress)
        watch.end(WAIT)
        found = _summary(Spent.now() - began, watch.spent, seconds * gpu.images, speed)
    (config.output / RESULT).write_text(json.dumps(found), encoding="utf-8")


def _summary(whole: Spent, spent: Mapping[str, Sequence[Spent]], generating: float, speed: float) -> dict[str, Any]:
    """Seconds of a worker on the GPU's clock, as this module says, and what asking and telling took each time."""
    alone = {name: sum(each.alone for each in times) for name, times in spent.items()}
    return {
        **alone,
        GENERATE: generating,
        WAIT: alone[WAIT] * speed,
        OTHER: whole.alone - sum(alone.values()),
        "times": {name: [[each.alone, each.computed] for each in spent[name]] for name in (ASK, TELL)},
        "bytes": psutil.Process().memory_full_info().uss,
    }
