"""What a run would do, before it does: trials, images, and about how long they take on this machine."""

from __future__ import annotations

import time

from experiments.config.schema import RunConfig
from experiments.run.plan import check_tasks, known_settings, objective_of, presets_of, protocol_of, space_of, studio_of
from experiments.run.tasks import tasks_of
from fabric.generator import Request

_PROBED_STEPS = 2
_FEEDBACK_COSTS = 1.3  # times a plain image, with a handful of feedback images; `fabric-bo bench generation`


def forecast(config: RunConfig) -> str:
    """Lines that say what will run.

    A few steps of one batch are timed; nothing is written.

    Raises:
        ValueError: something in the configuration is not to be had.
    """
    tasks = tasks_of(config)
    objectives = [objective_of(config, each) for each in config.objective]
    check_tasks(tasks, objectives)
    protocol, space = protocol_of(config), space_of(config, tasks)
    plain = len(tasks) * protocol.rounds * protocol.images
    given = sum(bool(task.liked or task.disliked) for task in tasks)
    each = (len(tasks) * (protocol.rounds - 1) + given) * protocol.images
    most = plain + config.trials * each
    seconds = _seconds_for_an_image(config)
    minutes = (plain + _FEEDBACK_COSTS * config.trials * each) * seconds / 60
    sought = ", ".join(space.distributions)
    known = len(known_settings(config, space))
    alone = " and each given picture alone" if known > len(presets_of(config)) else ""
    return "\n".join(
        [
            f"model      {config.model.name}, {protocol.steps} steps of {config.model.scheduler}",
            f"objective  {', '.join(objective.name for objective in objectives)}, value: {protocol.value}",
            f"tasks      {len(tasks)} prompts, {protocol.rounds} rounds of {protocol.images} images",
            f"space      {len(space.distributions)} dimensions: {sought}",
            f"trials     {config.trials} by {config.sampler}, the first {known} are the presets{alone}",
            f"images     at most {most}: {plain} without feedback, {each} for each trial that is not stopped early",
            f"time       about {minutes:.0f} minutes ({seconds:.2f} s for an image without feedback)",
            f"output     {config.output}",
        ]
    )


def _seconds_for_an_image(config: RunConfig) -> float:
    """Measured on a batch of few steps, the second time."""
    studio = studio_of(config)
    protocol = studio.protocol
    requests = [Request("", seed, protocol.plain) for seed in range(protocol.batch)]
    for _ in range(2):
        began = time.perf_counter()
        studio.fabric(requests, _PROBED_STEPS, protocol.size)
        seconds = time.perf_counter() - began
    return seconds / protocol.batch * protocol.steps / _PROBED_STEPS
