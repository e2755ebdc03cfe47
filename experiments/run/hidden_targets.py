"""Tasks in the world of an embedded model: hidden targets, and a board of pictures that somebody likes and dislikes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL.Image import Image

from experiments.config.parts import BoardKind, ScenesConfig
from experiments.embedded.world.world import Scenes, World, concatenate
from experiments.run.protocol import Task
from fabric.images import FeedbackImage
from fabric.seeding import generator_for

Feedback = tuple[FeedbackImage, ...]
_DRAWN = 400  # scenes, enough to meet all prompts
_OF_ALL = 4000  # where combinations count that training saw too
_TARGETS = 4  # of a prompt, where a taste is hidden: it has no position and no jitter
# Liked pictures of a board: how many have the taste, and how many mislead.
_LIKED: dict[BoardKind, tuple[int, int]] = {
    "right": (6, 0),
    "one-wrong": (5, 1),
    "half-wrong": (3, 3),
    "structure": (4, 2),
    "style": (4, 2),
    "two-tastes": (6, 0),  # half of them each
}


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
    def pictures(self, scenes: Scenes, showing: tuple[str, ...] = ()) -> list[Image]:
        """One of each scene, always the same, that shows the attributes named besides those in `shown`."""

    @abstractmethod
    def draw_liked(self, count: int, tastes: Sequence[Scenes], generator: torch.Generator) -> Scenes:
        """Scenes that a board can be made of, before they are given a taste."""

    @abstractmethod
    def usual_board(self, taste: Scenes, generator: torch.Generator) -> tuple[Scenes, Scenes]:
        """What somebody of a taste likes and dislikes, as is usual in this world; some of it misleads."""

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
        tastes, names = self.tastes(config.board, config.kind), self.names_of(config.kind)
        liked, disliked = self.board(config.board, config.kind)
        hidden = [
            self._of_prompt(drawn[k : k + 1], tastes, names, generator_for("targets", config.seed, k))
            for k in range(len(prompts))
        ]
        targets = self.pictures(concatenate(*hidden), names)
        return [
            Task(prompt, tuple(targets[_TARGETS * k : _TARGETS * (k + 1)]), liked, disliked)
            for k, prompt in enumerate(prompts)
        ]

    def single_targets(self, count: int, seed: int, contradicted: bool = False) -> list[Task]:
        """Prompts with a hidden target each, of any combination: prompts of others' models are not held out either.

        Args:
            count: how many.
            seed: which.
            contradicted: whether each target shows something else than its prompt says, in one attribute.

        Raises:
            ValueError: there are not so many prompts.
        """
        drawn = self._distinct(self.world.sample(_OF_ALL, generator_for("single targets", seed)), frozenset(), count)
        prompts = self.world.captions(drawn, self.world.short_prompt)
        if contradicted:
            drawn = self._contradicting(drawn, generator_for("contradicted", seed))
        pictures = self.pictures(drawn, self.world.unsaid)
        return [Task(prompt, (target,)) for prompt, target in zip(prompts, pictures, strict=True)]

    def _contradicting(self, scenes: Scenes, generator: torch.Generator) -> Scenes:
        """The same scenes, each with one attribute changed that its prompt states."""
        stated = self.world.short_prompt
        which = torch.randint(len(stated), (len(scenes),), generator=generator)
        attributes = scenes.attributes.clone()
        for place, name in enumerate(stated):
            changed = scenes.changed(name, generator).column(name)
            column = self.world.column[name]
            attributes[:, column] = torch.where(which == place, changed, attributes[:, column])
        return Scenes(self.world, attributes, scenes.jitter)

    def names_of(self, kind: BoardKind) -> tuple[str, ...]:
        """The attributes that a taste is made of."""
        return {"structure": self.world.structure, "style": self.world.style}.get(kind, self.world.unsaid)

    def tastes(self, board: int, kind: BoardKind = "usual") -> list[Scenes]:
        """Scenes whose attributes are what somebody likes: one, or two that are liked alike."""
        first = self.world.sample(1, generator_for("taste", board))
        return (
            [first, self.world.sample(1, generator_for("taste", board, "second"))] if kind == "two-tastes" else [first]
        )

    def board(self, board: int, kind: BoardKind = "usual") -> tuple[Feedback, Feedback]:
        """The liked and disliked pictures of somebody's board."""
        liked, disliked = self.board_scenes(board, kind)
        shown = self.pictures(concatenate(liked, disliked), self.names_of(kind))
        pictures = [FeedbackImage(picture) for picture in shown]
        return tuple(pictures[: len(liked)]), tuple(pictures[len(liked) :])

    def board_scenes(self, board: int, kind: BoardKind = "usual") -> tuple[Scenes, Scenes]:
        """What somebody's board shows: scenes that are liked, and that are disliked."""
        tastes, generator = self.tastes(board, kind), generator_for("board", board)
        if kind == "usual":
            return self.usual_board(tastes[0], generator)
        right, wrong = _LIKED[kind]
        drawn = self.draw_liked(right + wrong, tastes, generator)
        each = right // len(tastes)
        near = [
            self.with_taste(drawn[each * k : each * (k + 1)], taste, self.names_of(kind))
            for k, taste in enumerate(tastes)
        ]
        return concatenate(*near, drawn[right:]), drawn[:0]

    def with_taste(self, scenes: Scenes, taste: Scenes, names: tuple[str, ...] | None = None) -> Scenes:
        """The same scenes with some attributes of a taste; all that are left unsaid by default."""
        attributes = scenes.attributes.clone()
        for name in self.world.unsaid if names is None else names:
            attributes[:, self.world.column[name]] = taste.column(name)
        return Scenes(self.world, attributes, scenes.jitter)

    def is_known(self, scenes: Scenes, tastes: Sequence[Scenes]) -> torch.Tensor:
        """Which scenes are, in every taste, of what targets are to be of; bool, shape B. See `held_out`."""
        held_out = [self.world.is_held_out(self.with_taste(scenes, taste)) for taste in tastes]
        return (torch.stack(held_out) == self.held_out).all(dim=0)

    def _of_prompt(
        self, scene: Scenes, tastes: Sequence[Scenes], names: tuple[str, ...], generator: torch.Generator
    ) -> Scenes:
        """Targets of one prompt, which share nothing but what it states and a taste."""
        drawn = scene.repeat(_TARGETS).with_unsaid(generator, self.world.short_prompt)
        each = _TARGETS // len(tastes)
        parts = [self.with_taste(drawn[each * k : each * (k + 1)], taste, names) for k, taste in enumerate(tastes)]
        return concatenate(*parts)

    def _of_distinct_prompts(self, config: ScenesConfig, besides: frozenset[str]) -> Scenes:
        """Scenes no two of which have one prompt, since that would be the same seeds too."""
        drawn = self.world.sample(_DRAWN, generator_for("tasks", config.seed), held_out=self.held_out)
        if config.board is not None:
            drawn = drawn[self.is_known(drawn, self.tastes(config.board, config.kind))]
            if self.unshown:
                shown = concatenate(*self.board_scenes(config.board, config.kind))
                besides |= frozenset(self.world.captions(shown, self.world.short_prompt))
        return self._distinct(drawn, besides, config.count)

    def _distinct(self, drawn: Scenes, besides: frozenset[str], count: int) -> Scenes:
        """The first scenes of so many different prompts."""
        first: dict[str, int] = {}
        for place, prompt in enumerate(self.world.captions(drawn, self.world.short_prompt)):
            if prompt not in besides:
                first.setdefault(prompt, place)
        if len(first) < count:
            raise ValueError(f"scenes.count: {count}; allowed: 1 to {len(first)}, the prompts that there are")
        return drawn[torch.tensor(list(first.values())[:count])]
