"""What a configuration stands for: tasks, objectives, space, protocol, generator."""

from __future__ import annotations

from dataclasses import replace

from experiments.config.parts import ObjectiveConfig
from experiments.config.schema import RunConfig
from experiments.run.feature_map import FabricFeatureMap
from experiments.run.play import Protocol, Studio, Task
from experiments.run.space import Space
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator
from fabric.models import load
from fabric.params import PRESETS, FabricParams, preset
from objectives.base import Objective
from objectives.checkpoints import MissingWeightsError
from objectives.combine import Unit, combine
from objectives.registry import create

_ALONE = 8  # pictures at most that are tried one by one


def objective_of(config: RunConfig, which: ObjectiveConfig, device: str = "cpu") -> Objective:
    """What an image is worth, its model read."""
    objective = _made(which, device, config.model.name)
    objective.prepare()
    return objective


def _made(which: ObjectiveConfig, device: str, model: str) -> Objective:
    """An objective and the parts that it is made of."""
    if which.parts:
        made = combine(which.name, [_made(part, device, model) for part in which.parts], which.weights)
    else:
        made = create(which.name, which.checkpoint, device, model)
    return made if which.scale is None else Unit(made, *which.scale)


def space_of(config: RunConfig, tasks: list[Task]) -> Space:
    """What is sought."""
    base = FabricParams.from_dict({"guidance_scale": config.guidance, **config.fixed})
    images = dict.fromkeys(image.id for task in tasks for image in (*task.liked, *task.disliked))
    return Space(config.space, base, tuple(images))


def view_of(config: RunConfig, space: Space, tasks: list[Task]) -> FabricFeatureMap:
    """What the model sees of settings."""
    liked = dict.fromkeys(image.id for task in tasks for image in task.liked)
    disliked = dict.fromkeys(image.id for task in tasks for image in task.disliked)
    return FabricFeatureMap(space, tuple(liked), tuple(disliked), config.protocol.rounds > 1)


def protocol_of(config: RunConfig) -> Protocol:
    """How a setting is tried."""
    given = config.protocol
    size = None if given.size is None else (given.size[1], given.size[0])
    return Protocol(
        given.rounds, given.images, given.steps, size, given.seed, given.batch, given.value, config.guidance
    )


def presets_of(config: RunConfig) -> dict[str, FabricParams]:
    """Fixed FABRIC: the authors' settings at the guidance of the run; no feedback is not among them."""
    steps = config.protocol.steps
    found = {name: replace(preset(name, steps), guidance_scale=config.guidance) for name in PRESETS}
    return {name: params for name, params in found.items() if params.strength > 0}


def known_settings(config: RunConfig, space: Space) -> list[FabricParams]:
    """What a run tries first, whoever proposes the rest: the presets, then each given picture alone.

    Presets count all pictures alike, so where some mislead they are no better than no feedback, and their surroundings
    tell nothing of what would help; a picture alone tells whether it does. Alone means at the strength at which the
    authors come close to a target. Of many pictures none is tried alone, that would take the whole run.
    """
    presets = presets_of(config)
    images = space.images if len(space.images) <= _ALONE else ()
    strong = presets["paper-target"]
    alone = [replace(strong, weights={other: float(other == image) for other in images}) for image in images]
    return [*presets.values(), *alone]


def studio_of(config: RunConfig, protocol: Protocol | None = None) -> Studio:
    """What generates."""
    model = config.model
    pipeline = load(
        model.name,
        scheduler=model.scheduler,
        device=model.device,
        dtype=model.dtype,
        loras=tuple(model.loras.items()),
        config=model.config,
    )
    fabric = FabricGenerator(pipeline, ReferenceBank(offload=model.offload))
    protocol = protocol or protocol_of(config)
    fabric.check(protocol.steps, protocol.size)
    return Studio(fabric, protocol)


def measures_of(config: RunConfig) -> dict[str, Objective]:
    """What a comparison measures besides the objectives, as far as its weights are at hand."""
    found = {}
    for name in ("clip-liked", "clip-disliked", "diversity"):
        objective = create(name, None, "cpu", config.model.name)
        try:
            objective.prepare()
        except MissingWeightsError:
            continue
        found[name] = objective
    return found


def check_tasks(tasks: list[Task], objectives: list[Objective], place: str = "prompts") -> None:
    """Checks that tasks have what objectives need and what does not come up in a session.

    Raises:
        ValueError: a target is missing, or an objective needs feedback; the message names the place.
    """
    for objective in objectives:
        if feedback := sorted(objective.needs & {"liked", "disliked"}):
            # Every image is compared with the same one without feedback, which has none to be scored against.
            raise ValueError(
                f"objective: {objective.name} needs {' and '.join(feedback)} images, which plain images lack; "
                "allowed: objectives that do without (comparisons report it as a measure)"
            )
        for k, task in enumerate(tasks):
            if "target" in objective.needs and not task.targets:
                raise ValueError(f"{place}.{k}.targets: none; {objective.name} needs a target picture for every prompt")
