"""What a run would do, before it does: trials, images, and about how long they take on this machine."""

from __future__ import annotations

import time

from experiments.run.plan import Plan
from fabric.generator import Request

_PROBED_STEPS = 2
_FEEDBACK_COSTS = 1.3  # times a plain image, with a handful of feedback images; `fabric-bo bench generation`


def forecast(plan: Plan) -> str:
    """Lines that say what will run.

    A few steps of one batch are timed; nothing is written.

    Raises:
        ValueError: something in the configuration is not to be had.
    """
    plan.check()
    config = plan.config
    tasks, protocol, space = plan.tasks, plan.protocol, plan.space
    plain = len(tasks) * protocol.rounds * protocol.images
    given = sum(bool(task.liked or task.disliked) for task in tasks)
    images_per_trial = (len(tasks) * (protocol.rounds - 1) + given) * protocol.images
    most = plain + config.trials * images_per_trial
    seconds = _seconds_for_an_image(plan)
    minutes = (plain + _FEEDBACK_COSTS * config.trials * images_per_trial) * seconds / 60
    sought = ", ".join(space.distributions)
    known = len(plan.known_settings)
    alone = " and each given picture alone" if known > len(plan.presets) else ""
    return "\n".join(
        [
            f"model      {config.model.name}, {protocol.steps} steps of {config.model.scheduler}",
            f"objective  {', '.join(objective.name for objective in plan.objectives)}, value: {protocol.value}",
            f"tasks      {len(tasks)} prompts, {protocol.rounds} rounds of {protocol.images} images",
            f"space      {len(space.distributions)} dimensions: {sought}",
            f"trials     {config.trials} by {config.sampler}, the first {known} are the presets{alone}",
            f"images     at most {most}: {plain} without feedback, "
            f"{images_per_trial} for each trial that is not stopped early",
            f"time       about {minutes:.0f} minutes ({seconds:.2f} s for an image without feedback)",
            f"output     {config.output}",
        ]
    )


def _seconds_for_an_image(plan: Plan) -> float:
    """Measured on a batch of few steps, the second time."""
    generator, protocol = plan.generator(), plan.protocol
    requests = [Request("", seed, protocol.plain) for seed in range(protocol.batch)]
    for _ in range(2):
        began = time.perf_counter()
        generator.fabric(requests, _PROBED_STEPS, protocol.size)
        seconds = time.perf_counter() - began
    return seconds / protocol.batch * protocol.steps / _PROBED_STEPS
