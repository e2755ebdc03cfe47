"""Tasks in the embedded model's world: hidden targets, and a board of pictures that somebody likes and dislikes."""

from __future__ import annotations

import torch
from PIL.Image import Image

from experiments.config.parts import ScenesConfig
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes, concatenate
from experiments.run.protocol import Task
from fabric.images import FeedbackImage, to_pictures
from fabric.seeding import generator_for

Feedback = tuple[FeedbackImage, ...]
_DRAWN = 400  # scenes, enough to meet all prompts
_TARGETS = 4  # of a prompt, where a taste is hidden: it has no position and no jitter


def scenes_as_tasks(scenes: ScenesConfig, besides: frozenset[str] = frozenset()) -> list[Task]:
    """Prompts that state shape, colour and background of a hidden target; the rest is to be steered.

    Without a board every target is a scene of its own. With one, all targets share a hidden taste (size, texture,
    light, style and companion), and `board_of` it is given as feedback from the start.
    """
    drawn = _of_distinct_prompts(scenes.count, generator_for("tasks", scenes.seed), besides)
    prompts = SCENES.captions(drawn, SCENES.short_prompt)
    if scenes.board is None:
        return [Task(prompt, (target,)) for prompt, target in zip(prompts, _pictures(drawn), strict=True)]
    taste = taste_of(scenes.board)
    liked, disliked = board_of(taste, generator_for("board", scenes.board))
    tasks = []
    for k, prompt in enumerate(prompts):
        hidden = (
            drawn[k : k + 1].repeat(_TARGETS).with_unsaid(generator_for("targets", scenes.seed, k), SCENES.short_prompt)
        )
        tasks.append(Task(prompt, tuple(_pictures(with_taste(hidden, taste))), liked, disliked))
    return tasks


def _of_distinct_prompts(count: int, generator: torch.Generator, besides: frozenset[str]) -> Scenes:
    """Scenes of combinations that the generator never saw, no two of one prompt: they would have the same seeds too."""
    drawn = SCENES.sample(_DRAWN, generator, held_out=True)
    first: dict[str, int] = {}
    for place, prompt in enumerate(SCENES.captions(drawn, SCENES.short_prompt)):
        if prompt not in besides:
            first.setdefault(prompt, place)
    if len(first) < count:
        raise ValueError(f"scenes.count: {count}; allowed: 1 to {len(first)}, the prompts that there are")
    return drawn[torch.tensor(list(first.values())[:count])]


def taste_of(board: int) -> Scenes:
    """The scene whose unsaid attributes are what somebody likes."""
    return SCENES.sample(1, generator_for("taste", board))


def with_taste(scenes: Scenes, taste: Scenes) -> Scenes:
    """The same scenes with the unsaid attributes of a taste."""
    attributes = scenes.attributes.clone()
    for name in SCENES.unsaid:
        attributes[:, SCENES.column[name]] = taste.column(name)
    return Scenes(SCENES, attributes, scenes.jitter)


def board_of(taste: Scenes, generator: torch.Generator) -> tuple[Feedback, Feedback]:
    """Two liked and two disliked pictures of any shape, colour and place; the second of each sign misleads.

    The first liked picture has the taste but for one attribute, and so has the second disliked one, a click by
    mistake. The other two are any pictures at all; that one of them is liked has to do with something else.
    """
    near = []
    for _ in range(2):
        name = SCENES.unsaid[int(torch.randint(len(SCENES.unsaid), (1,), generator=generator))]
        near.append(with_taste(SCENES.sample(1, generator), taste).changed(name, generator))
    right, mistaken = (FeedbackImage(picture) for picture in _pictures(concatenate(*near)))
    liked_for_else, disliked = (FeedbackImage(picture) for picture in _pictures(SCENES.sample(2, generator)))
    return (right, liked_for_else), (disliked, mistaken)


def _pictures(scenes: Scenes) -> list[Image]:
    return to_pictures(to_signed(SCENES.render(scenes)))
