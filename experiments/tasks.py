"""Tasks of a configuration: prompts with their pictures read, or hidden targets of the embedded model's world."""

from __future__ import annotations

from experiments.config import RunConfig, ScenesConfig, TaskConfig
from experiments.embedded.captions import SHORT_PROMPT, captions
from experiments.embedded.pool import to_signed
from experiments.embedded.render import render
from experiments.embedded.scenes import sample
from experiments.rounds import Task
from fabric.images import FeedbackImage, find_pictures, read_picture, to_pictures
from fabric.seeding import generator_for


def tasks_of(config: RunConfig) -> list[Task]:
    """What a run tries every setting on.

    Raises:
        ValueError: a picture cannot be read; the message names it.
    """
    if config.scenes is not None:
        return scenes_as_tasks(config.scenes)
    return [_task(each) for each in config.prompts]


def scenes_as_tasks(scenes: ScenesConfig) -> list[Task]:
    """Hidden targets; each prompt states shape, colour and background of its target, the rest is to be steered."""
    drawn = sample(scenes.count, generator_for("tasks", scenes.seed), held_out=True)
    pictures = to_pictures(to_signed(render(drawn)))
    return [Task(prompt, (target,)) for prompt, target in zip(captions(drawn, SHORT_PROMPT), pictures, strict=True)]


def _task(config: TaskConfig) -> Task:
    liked, disliked = (
        tuple(FeedbackImage(read_picture(file)) for file in find_pictures(*given))
        for given in (config.liked, config.disliked)
    )
    targets = tuple(read_picture(file) for file in find_pictures(*config.targets))
    return Task(config.prompt, targets, liked, disliked, config.negative_prompt)
