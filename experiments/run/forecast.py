"""What a run would do, before it does: trials, images, and about how long they take on this machine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from experiments.config.family import outline_of
from experiments.run.memory import MemoryForecast, outlined_generator
from experiments.run.plan import Plan
from experiments.run.progress import in_words
from fabric.generator import Request
from optimizer.samplers.replicating import LEADERS

_PROBED_STEPS = 2
_FEEDBACK_COSTS = 1.3  # times a plain image, with a handful of feedback images; `fabric-bo bench generation`


@dataclass(frozen=True)
class Forecast:
    """What would run.

    Attributes:
        model: what generates.
        scheduler: of its denoising.
        steps: of an image.
        objectives: names; the first chooses what is liked and disliked.
        value: what a prompt is worth; see `Protocol`.
        prompts: how many there are.
        rounds: of each prompt.
        images: of a round.
        space: names of what is sought.
        trials: settings that are tried.
        sampler: what proposes them.
        presets: of them the authors', tried first.
        alone: of them each given picture alone, tried next.
        known: of them what other runs recommended, tried after that.
        replications: of them the last ones, which try the best settings again.
        plain_images: without feedback, to compare with; once more for each time that the best settings are tried again.
        images_per_trial: of a trial that is not stopped early.
        memory: that is needed at most, as the model's configurations tell it.
        seconds_per_image: without feedback, measured.
        output: folder of the run.
    """

    model: str
    scheduler: str
    steps: int
    objectives: list[str]
    value: str
    prompts: int
    rounds: int
    images: int
    space: list[str]
    trials: int
    sampler: str
    presets: int
    alone: int
    known: int
    replications: int
    plain_images: int
    images_per_trial: int
    memory: MemoryForecast
    seconds_per_image: float
    output: str

    @property
    def most_images(self) -> int:
        """If no trial is stopped early."""
        return self.plain_images + self.trials * self.images_per_trial

    @property
    def seconds(self) -> float:
        """Of the whole run, if no trial is stopped early."""
        return (self.plain_images + _FEEDBACK_COSTS * self.trials * self.images_per_trial) * self.seconds_per_image

    def __str__(self) -> str:
        return "\n".join(
            [
                f"model      {self.model}, {self.steps} steps of {self.scheduler}",
                f"objective  {', '.join(self.objectives)}, value: {self.value}",
                f"tasks      {_count(self.prompts, 'prompt')}, {_count(self.rounds, 'round')} of "
                f"{_count(self.images, 'image')}",
                f"space      {_count(len(self.space), 'dimension')}: {', '.join(self.space)}",
                f"trials     {self._trials()}",
                f"images     at most {self.most_images}: {self.plain_images} without feedback, "
                f"{self.images_per_trial} for each trial that is not stopped early",
                f"memory     {self.memory}",
                f"time       about {in_words(self.seconds)} ({self.seconds_per_image:.2f} s for an image)",
                f"output     {self.output}",
            ]
        )

    def _trials(self) -> str:
        """How many settings are tried, and whose they are."""
        counts, left = [], self.trials
        for wanted in (self.presets, self.alone, self.known, self.replications):
            counts.append(min(wanted, left))
            left -= counts[-1]
        presets, alone, known, replications = counts
        parts = {
            f"{_count(presets, 'preset')} of the authors": True,
            f"{_count(alone, 'given picture')} alone": alone,
            _count(known, "known setting"): known,
            f"{left} proposed by {self.sampler}": left,
            f"{replications} of the best settings again": replications,
        }
        return f"{self.trials}: {', '.join(text for text, count in parts.items() if count)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def forecast(plan: Plan) -> Forecast:
    """What a plan's run would do.

    A few steps of one batch are timed; nothing is written.

    Raises:
        ValueError: something in the configuration is not to be had.
    """
    plan.check()
    config, protocol, prompts = plan.config, plan.protocol, len(plan.tasks)
    given = sum(bool(task.liked or task.disliked or task.library) for task in plan.tasks)
    return Forecast(
        model=config.model.name,
        scheduler=config.model.scheduler,
        steps=protocol.steps,
        objectives=[objective.name for objective in plan.objectives] or [which.name for which in config.objective],
        value=protocol.value,
        prompts=prompts,
        rounds=protocol.rounds,
        images=protocol.images,
        space=list(plan.space.distributions),
        trials=config.trials,
        sampler=config.sampler,
        presets=len(plan.presets),
        alone=len(plan.known_settings) - len(plan.presets) - len(config.known),
        known=len(config.known),
        replications=config.replications,
        plain_images=0
        if config.chosen_by_people  # nothing is compared with them
        else (1 + math.ceil(config.replications / LEADERS)) * prompts * protocol.rounds * protocol.images,
        images_per_trial=(prompts * (protocol.rounds - 1) + given) * protocol.images,
        memory=_memory(plan),
        seconds_per_image=_seconds_for_an_image(plan),
        output=str(config.output),
    )


def _memory(plan: Plan) -> MemoryForecast:
    """Of the pictures of one trial: those given, and of each round but the last what is liked and disliked of it."""
    protocol, model = plan.protocol, plan.config.model
    outline = outline_of(model)
    fabric = outlined_generator(outline, model.scheduler, model.level, model.reference_layers)
    signs = 2 if protocol.feedback == "both" else 1
    given = sum(len(task.liked) + len(task.disliked) + len(task.library) for task in plan.tasks)
    pictures = given + len(plan.tasks) * (protocol.rounds - 1) * signs
    size = protocol.size or fabric.native_size
    return MemoryForecast.of(outline, fabric, pictures, protocol.steps, size, outer=True)  # as the presets are


def _seconds_for_an_image(plan: Plan) -> float:
    """Measured on a batch of few steps, the second time."""
    generator, protocol = plan.generator(), plan.protocol
    requests = [Request("", seed, protocol.plain) for seed in range(protocol.batch)]
    for _ in range(2):
        began = time.perf_counter()
        generator.fabric(requests, _PROBED_STEPS, protocol.size)
        seconds = time.perf_counter() - began
    return seconds / protocol.batch * protocol.steps / _PROBED_STEPS
