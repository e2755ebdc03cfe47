"""Tasks of a configuration: prompts with their pictures read, or hidden targets of a world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.config.parts import TaskConfig
from experiments.config.schema import RunConfig
from experiments.run.artifacts import Artifacts
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


def keep_given(tasks: Sequence[Task], artifacts: Artifacts) -> None:
    """Keeps all pictures that tasks were given, so that workers elsewhere have them; see `kept_tasks`."""
    for task in tasks:
        given = (*(FeedbackImage(target) for target in task.targets), *task.liked, *task.disliked, *task.library)
        for image in given:
            artifacts.keep(_given(image.id), image.picture)


def kept_tasks(config: RunConfig, known: Sequence[Mapping[str, Any]], artifacts: Artifacts) -> list[Task]:
    """Tasks of a run that was begun elsewhere.

    Args:
        config: of it.
        known: what its study says of its pictures; see `pictures_of`.
        artifacts: that hold the pictures.

    Raises:
        ValueError: a picture is not to be had here.
    """
    if config.scenes is not None:
        return run_tasks(config)

    def read(names: Sequence[str]) -> tuple[FeedbackImage, ...]:
        try:
            return tuple(FeedbackImage(read_picture(artifacts.path(_given(name)))) for name in names)
        except FileNotFoundError as error:
            raise ValueError(
                f"artifacts: {error}; allowed: a run whose artifacts are in a place that this machine reaches"
            ) from None

    return [
        Task(
            task["prompt"],
            tuple(image.picture for image in read(task["targets"])),
            read(task["liked"]),
            read(task["disliked"]),
            own.negative_prompt,
            read(task.get("library", [])),
        )
        for task, own in zip(known, config.prompts, strict=True)
    ]


def _given(image: str) -> str:
    """Name of the artifact that a given picture is."""
    return f"given-{image}.png"


def _task(config: TaskConfig) -> Task:
    liked, disliked = (
        tuple(FeedbackImage(read_picture(file)) for file in find_pictures(*given))
        for given in (config.liked, config.disliked)
    )
    targets = tuple(read_picture(file) for file in find_pictures(*config.targets))
    return Task(config.prompt, targets, liked, disliked, config.negative_prompt)
