"""Feedback images that were given from the start, and what they and their weights are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study
from PIL.Image import Image

from experiments.config.schema import RunConfig
from experiments.run.plan import Plan
from experiments.run.protocol import Task
from experiments.run.space import split_name
from experiments.run.study import PICTURES


@dataclass(frozen=True)
class GivenImage:
    """A feedback image.

    Attributes:
        id: of it.
        name: for people, as "liked 1".
        picture: it.
    """

    id: str
    name: str
    picture: Image


def plan_of(config: RunConfig, study: Study) -> Plan:
    """The plan of a run.

    Where files have moved, or never were on this machine, their pictures are those that the run kept; where it kept
    none there are no tasks, and a report goes without.
    """
    try:
        return Plan.of(config)
    except (ValueError, OSError):
        pass
    try:
        return Plan.of_kept(config, study.user_attrs.get(PICTURES, []))
    except (ValueError, OSError):
        return Plan(config, ())


def held_out_tasks_of(plan: Plan) -> list[Task]:
    """What a comparison was played on; none where its pictures are no longer to be had."""
    try:
        return list(plan.held_out_tasks)
    except (ValueError, OSError):  # files have moved
        return []


def given_of(tasks: Sequence[Task]) -> list[GivenImage]:
    """Feedback images of all tasks, each once."""
    found: dict[str, GivenImage] = {}
    for kind in ("liked", "disliked"):
        images = {image.id: image for task in tasks for image in getattr(task, kind)}
        for k, (name, image) in enumerate(images.items()):
            found.setdefault(name, GivenImage(name, f"{kind} {k + 1}", image.picture))
    return list(found.values())


def label(parameter: str, given: Sequence[GivenImage]) -> str:
    """What a parameter is called; weights and timings are called after their images."""
    what, image = split_name(parameter)
    return parameter if image is None else f"{what} {image_label(image, given)}"


def image_label(image: str, given: Sequence[GivenImage]) -> str:
    """What an image is called."""
    return next((known.name for known in given if known.id == image), image[:6])
