"""Tasks of a configuration: prompts with their pictures read, or hidden targets of a world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.config.parts import TaskConfig
from experiments.config.schema import RunConfig
from experiments.run.emoji_targets import EmojiTargets
from experiments.run.hidden_targets import HiddenTargets
from experiments.run.protocol import Task
from experiments.run.scene_targets import SceneTargets
from fabric.images import FeedbackImage, find_pictures, read_picture

HIDDEN_TARGETS: dict[str, HiddenTargets] = {"scenes": SceneTargets(), "emoji": EmojiTargets()}  # by world


def run_tasks(config: RunConfig) -> list[Task]:
    """What a run tries every setting on.

    Raises:
        ValueError: a picture cannot be read; the message names it.
    """
    if config.scenes is not None:
        return HIDDEN_TARGETS[config.world_of_targets].tasks(config.scenes)
    return [_task(task) for task in config.prompts]


def held_out_tasks(config: RunConfig, own: Sequence[Task]) -> list[Task]:
    """What a comparison tries settings on: other prompts where the configuration names some, else the run's own.

    Args:
        config: of the run.
        own: the run's tasks.

    Raises:
        ValueError: a picture cannot be read; the message names it.
    """
    given = config.held_out
    if given.scenes is not None:
        return HIDDEN_TARGETS[config.world_of_targets].tasks(given.scenes, frozenset(task.prompt for task in own))
    return [_task(task) for task in given.prompts] or list(own)


def pictures_of(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """What tasks are, pictures by their content: prompt and ids of targets, liked, disliked and library images."""
    return [
        {
            "prompt": task.prompt,
            "targets": [FeedbackImage(target).id for target in task.targets],
            "liked": [image.id for image in task.liked],
            "disliked": [image.id for image in task.disliked],
            "library": [image.id for image in task.library],
        }
        for task in tasks
    ]


def _task(config: TaskConfig) -> Task:
    liked, disliked = (
        tuple(FeedbackImage(read_picture(file)) for file in find_pictures(*given))
        for given in (config.liked, config.disliked)
    )
    targets = tuple(read_picture(file) for file in find_pictures(*config.targets))
    return Task(config.prompt, targets, liked, disliked, config.negative_prompt)
