"""Tasks in the world of an embedded model: hidden targets, and a board of pictures that somebody likes and dislikes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from PIL.Image import Image

from experiments.config.parts import ScenesConfig
from experiments.embedded.world.world import Scenes, World, concatenate
from experiments.run.protocol import Task
from fabric.images import FeedbackImage
from fabric.seeding import generator_for

Feedback = tuple[FeedbackImage, ...]
_DRAWN = 400  # scenes, enough to meet all prompts
_TARGETS = 4  # of a prompt, where a taste is hidden: it has no position and no jitter


class HiddenTargets(ABC):
    """What the tasks of a world are made of.

    Attributes:
        world: that the targets are of.
        model: that knows the world.
        shown: attributes of scenes that their pictures have for certain.
        held_out: whether targets are of what the generator never saw in training.
        unshown: whether prompts ask for nothing that the board shows.
    """

    world: World
    model: str
    shown: tuple[str, ...]
    held_out: bool
    unshown: bool

    @abstractmethod
    def pictures(self, scenes: Scenes) -> list[Image]:
        """One of each scene, always the same."""

    @abstractmethod
    def board_scenes(self, taste: Scenes, generator: torch.Generator) -> tuple[Scenes, Scenes]:
        """What somebody of a taste likes and dislikes; some of it misleads."""

    def tasks(self, config: ScenesConfig, besides: frozenset[str] = frozenset()) -> list[Task]:
        """Prompts that state a part of a hidden target; the rest is to be steered.

        Without a board every target is a scene of its own. With one, all targets share a hidden taste, and `board` it
        is given as feedback from the start.

        Args:
            config: how many, and which.
            besides: prompts that are not to come.

        Raises:
            ValueError: there are not so many prompts.
        """
        drawn = self._of_distinct_prompts(config, besides)
        prompts = self.world.captions(drawn, self.world.short_prompt)
        if config.board is None:
            return [Task(prompt, (target,)) for prompt, target in zip(prompts, self.pictures(drawn), strict=True)]
        taste = self.taste(config.board)
        liked, disliked = self.board(config.board)
        hidden = [
            self._of_prompt(drawn[k : k + 1], taste, generator_for("targets", config.seed, k))
            for k in range(len(prompts))
        ]
        targets = self.pictures(concatenate(*hidden))
        return [
            Task(prompt, tuple(targets[_TARGETS * k : _TARGETS * (k + 1)]), liked, disliked)
            for k, prompt in enumerate(prompts)
        ]

    def taste(self, board: int) -> Scenes:
        """The scene whose unsaid attributes are what somebody likes."""
        return self.world.sample(1, generator_for("taste", board))

    def board(self, board: int) -> tuple[Feedback, Feedback]:
        """The liked and disliked pictures of somebody's board."""
        liked, disliked = self.board_scenes(self.taste(board), generator_for("board", board))
        pictures = [FeedbackImage(picture) for picture in self.pictures(concatenate(liked, disliked))]
        return tuple(pictures[: len(liked)]), tuple(pictures[len(liked) :])

    def with_taste(self, scenes: Scenes, taste: Scenes) -> Scenes:
        """The same scenes with the unsaid attributes of a taste."""
        attributes = scenes.attributes.clone()
        for name in self.world.unsaid:
            attributes[:, self.world.column[name]] = taste.column(name)
        return Scenes(self.world, attributes, scenes.jitter)

    def _of_prompt(self, scene: Scenes, taste: Scenes, generator: torch.Generator) -> Scenes:
        """Targets of one prompt, which share nothing but what it states and the taste."""
        return self.with_taste(scene.repeat(_TARGETS).with_unsaid(generator, self.world.short_prompt), taste)

    def _of_distinct_prompts(self, config: ScenesConfig, besides: frozenset[str]) -> Scenes:
        """Scenes no two of which have one prompt, since that would be the same seeds too."""
        drawn = self.world.sample(_DRAWN, generator_for("tasks", config.seed), held_out=self.held_out)
        if config.board is not None:
            taste = self.taste(config.board)
            drawn = drawn[self.world.is_held_out(self.with_taste(drawn, taste)) == self.held_out]
            if self.unshown:
                shown = concatenate(*self.board_scenes(taste, generator_for("board", config.board)))
                besides |= frozenset(self.world.captions(shown, self.world.short_prompt))
        first: dict[str, int] = {}
        for place, prompt in enumerate(self.world.captions(drawn, self.world.short_prompt)):
            if prompt not in besides:
                first.setdefault(prompt, place)
        if len(first) < config.count:
            raise ValueError(f"scenes.count: {config.count}; allowed: 1 to {len(first)}, the prompts that there are")
        return drawn[torch.tensor(list(first.values())[: config.count])]
