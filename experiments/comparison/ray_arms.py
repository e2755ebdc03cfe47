"""The arms of a comparison on several workers, placed and started again by Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.comparison.arms import Arm, Measured, Pictures, play_arm, write_pictures
from experiments.config.read import check_config
from experiments.run.cached_generator import CachedGenerator
from experiments.run.plan import Plan
from experiments.run.progress import Progress
from experiments.run.protocol import Task
from experiments.run.ray_cluster import Cluster


def measure_with_workers(
    plan: Plan, arms: Sequence[Arm], folder: Path, workers: int, progress: Progress
) -> list[Measured]:
    """What each arm came to: the images that one process would make, bit for bit, and its scores but for rounding.

    Args:
        plan: of a run.
        arms: that are compared.
        folder: to write the images to.
        workers: processes; no more are placed than there are arms.
        progress: shows how many arms are done.

    Raises:
        ValueError: Ray is not installed, has too few GPUs, or something in the configuration is not to be had there.
        ObjectiveError: an objective failed.
    """
    progress.doing("starting the workers")
    with Cluster(min(workers, len(arms))) as cluster:
        values = plan.config.model_dump(mode="json")
        placed = cluster.place(_Worker, values, plan.tasks, plan.held_out_tasks)
        # An objective that picks images is the worker's own.
        found = cluster.map(
            placed, lambda worker, arm: worker.play.remote(arm), [replace(arm, best_of=None) for arm in arms]
        )
        progress.begin(len(arms))
        measured = []
        for place, (arm, (one, images)) in enumerate(zip(arms, found, strict=True)):
            measured.append(replace(one, arm=arm, pictures=write_pictures(folder, arm, images)))
            progress.at(place + 1, f"arm {place + 1}/{len(arms)}", f"{cluster.workers} workers")
    return measured


class _Worker:
    """What Ray places on a GPU or on processors.

    Args:
        values: of a run's configuration.
        tasks: of the run, their pictures read.
        held_out: of the comparison, likewise.
    """

    def __init__(self, values: dict[str, Any], tasks: tuple[Task, ...], held_out: tuple[Task, ...]) -> None:
        self.plan = Plan(check_config(values), tasks, given_held_out=held_out)

    @cached_property
    def _generator(self) -> CachedGenerator:
        generator = self.plan.generator(self.plan.held_out_protocol)
        generator.warm_up()
        return generator

    def play(self, arm: Arm) -> tuple[Measured, Pictures]:
        """What an arm came to, and its images."""
        plan = self.plan
        best_of = plan.held_out_best_of if arm.kind == "picked" else None
        self._generator.forget()  # as if it were the first
        own = self._generator.under(replace(self._generator.protocol, best_of=best_of))
        measured, images = play_arm(own, plan.held_out_tasks, arm, plan.held_out_objectives, plan.measures)
        spent = own.seconds - self._generator.seconds, own.count - self._generator.count
        return replace(measured, seconds=spent[0] / spent[1] if spent[1] else None), images
