"""What a fine-tuning learns from: references with their prompts, prompts to train on, and others to validate on."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.Image import Image

from experiments.config.parts import ScenesConfig
from experiments.embedded.worlds import WORLDS
from experiments.files.pictures import read_facts
from experiments.personal.config import PersonalConfig, ReferenceConfig
from experiments.run.tasks import HIDDEN_TARGETS
from fabric.images import find_pictures, read_picture

_OTHERS = 500  # added to the seed of prompts for those of validation


@dataclass(frozen=True)
class Reference:
    """A liked picture with what it shows."""

    picture: Image
    prompt: str


@dataclass(frozen=True)
class Material:
    """What is learnt from.

    Attributes:
        references: liked pictures.
        prompts: to train on.
        validation: others.
    """

    references: tuple[Reference, ...]
    prompts: tuple[str, ...]
    validation: tuple[str, ...]


def read_material(config: PersonalConfig) -> Material:
    """Reads what a configuration names.

    Raises:
        ValueError: a picture cannot be read, does not say what it shows, or the model has no world.
    """
    if config.scenes is not None:
        return _of_board(config, config.scenes)
    references = [reference for given in config.references for reference in _read(given)]
    return Material(tuple(references), config.prompts, config.validation)


def _read(given: ReferenceConfig) -> list[Reference]:
    found = []
    for path in find_pictures(given.picture):
        prompt = given.prompt if given.prompt is not None else (read_facts(path) or {}).get("prompt")
        if prompt is None:
            raise ValueError(f"references: {path} does not say what it shows; allowed: with a prompt")
        found.append(Reference(read_picture(path), str(prompt)))
    return found


def _of_board(config: PersonalConfig, scenes: ScenesConfig) -> Material:
    """Somebody's board: what is liked on it, prompts that it does not show, and as many others."""
    world = WORLDS.get(config.model.name)
    if world is None:
        raise ValueError(f"scenes: {config.model.name} knows no world; allowed: with {', '.join(WORLDS)}")
    hidden, board = HIDDEN_TARGETS[world.name], int(scenes.board or 0)
    liked, _ = hidden.board(board, scenes.kind)
    shown, _ = hidden.board_scenes(board, scenes.kind)
    captions = world.captions(shown, world.short_prompt)
    references = [Reference(image.picture, text) for image, text in zip(liked, captions, strict=True)]
    prompts = _prompts(scenes, world.name, frozenset())
    others = scenes.model_copy(update={"seed": scenes.seed + _OTHERS})
    return Material(tuple(references), prompts, _prompts(others, world.name, frozenset(prompts)))


def _prompts(scenes: ScenesConfig, world: str, besides: frozenset[str]) -> tuple[str, ...]:
    return tuple(task.prompt for task in HIDDEN_TARGETS[world].tasks(scenes, besides))
