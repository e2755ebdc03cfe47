"""What a world of the embedded models is: attributes, pictures of them, and captions that state some of them.

A scene is a row of attribute indices (what is there) and a row of jitter (how it happens to look). Captions may state
some attributes; the others are never or seldom stated, so that feedback images carry what prompts do not.

Notation:
    B: number of scenes.
    A: number of attributes; columns are in the order of `World.attributes`.
    J: number of jitter values of a scene.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SIDE = 64  # pixels, of the pictures of all worlds


class World(ABC):
    """A world that models are trained on and claims are tried in.

    Attributes:
        name: in configurations.
        attributes: name of each attribute to its values.
        full_prompt: attributes that a prompt can state.
        short_prompt: those that the prompts of a task state.
        unsaid: those that a taste is made of.
        structure: those of a taste that is for how things are laid out alone.
        style: those of a taste that is for how things are drawn alone.
        said: how often a training caption states an attribute; never where it is not named.
        openings: how captions begin.
        faint: how often a judge's hard negatives change an attribute, relative to 1 where it is not named: those that
            change few pixels are learnt last.
        jitter: J.
        side: of the pictures, in pixels.
    """

    name: str
    attributes: Mapping[str, tuple[str, ...]]
    full_prompt: tuple[str, ...]
    short_prompt: tuple[str, ...]
    unsaid: tuple[str, ...]
    structure: tuple[str, ...]
    style: tuple[str, ...]
    said: Mapping[str, float]
    openings: tuple[str, ...]
    faint: Mapping[str, float]
    jitter: int
    side: int = SIDE

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the attributes."""
        return tuple(self.attributes)

    @cached_property
    def column(self) -> dict[str, int]:
        """Place of each attribute."""
        return {name: column for column, name in enumerate(self.names)}

    @cached_property
    def counts(self) -> list[int]:
        """How many values each attribute has."""
        return [len(values) for values in self.attributes.values()]

    @cached_property
    def words(self) -> frozenset[str]:
        """All words that training captions are made of, in lower case."""
        first = {name: values[0] for name, values in self.attributes.items()}
        changed = [first | {name: value} for name in self.said for value in self.attributes[name]]
        texts = [*self.openings, *(self.caption(values, tuple(self.said)) for values in changed)]
        return words_of(" ".join(texts))

    @abstractmethod
    def is_held_out(self, scenes: Scenes) -> Tensor:
        """Which scenes are of a combination that the generator never saw; bool, shape B."""

    @abstractmethod
    def render(self, scenes: Scenes) -> Tensor:
        """Their pictures, B x 3 x 64 x 64 in [0, 1]."""

    @abstractmethod
    def caption(self, values: Mapping[str, str], said: tuple[str, ...], opening: str = "a") -> str:
        """Words for a scene that state the attributes in `said` and no other.

        Args:
            values: attribute name to value name.
            said: attributes to state.
            opening: words before the noun phrase.
        """

    def sample(self, count: int, generator: torch.Generator, *, held_out: bool | None = None) -> Scenes:
        """Draws scenes uniformly.

        Args:
            count: number of scenes B.
            generator: the source of randomness.
            held_out: True for held-out combinations only, False for training ones only, None for both.
        """
        drawn = [torch.randint(values, (count,), generator=generator) for values in self.counts]
        scenes = Scenes(self, torch.stack(drawn, dim=1), torch.rand(count, self.jitter, generator=generator))
        if held_out is None:
            return scenes
        wrong = self.is_held_out(scenes) != held_out
        if wrong.any():
            redrawn = self.sample(int(wrong.sum()), generator, held_out=held_out)
            scenes.attributes[wrong] = redrawn.attributes
            scenes.jitter[wrong] = redrawn.jitter
        return scenes

    def values_of(self, scenes: Scenes, row: int) -> dict[str, str]:
        """Attribute names to value names of one scene."""
        indices = scenes.attributes[row].tolist()
        return {name: values[k] for (name, values), k in zip(self.attributes.items(), indices, strict=True)}

    def captions(self, scenes: Scenes, said: tuple[str, ...]) -> list[str]:
        """A caption for each scene that states exactly the attributes in `said`."""
        return [self.caption(self.values_of(scenes, row), said) for row in range(len(scenes))]

    def draw_said(
        self, count: int, generator: torch.Generator, probability: Mapping[str, float] | None = None
    ) -> Tensor:
        """Draws what each of `count` captions states.

        Args:
            count: number of captions B.
            generator: the source of randomness.
            probability: chance that an attribute is stated, 0 where not named; `said` by default.

        Returns:
            B x A bool.
        """
        stated = self.said if probability is None else probability
        chance = torch.tensor([stated.get(name, 0.0) for name in self.names])
        return torch.rand(count, len(self.names), generator=generator) < chance

    def captions_stating(self, scenes: Scenes, said: Tensor, generator: torch.Generator) -> list[str]:
        """A caption for each scene that states what its row of `said` (B x A bool) marks; openings vary."""
        openings = torch.randint(len(self.openings), (len(scenes),), generator=generator).tolist()
        return [
            self.caption(self.values_of(scenes, row), names, self.openings[openings[row]])
            for row, names in enumerate(self.names_of(said))
        ]

    def random_captions(
        self, scenes: Scenes, generator: torch.Generator, probability: Mapping[str, float] | None = None
    ) -> list[str]:
        """A caption of random detail for each scene; see `draw_said`."""
        return self.captions_stating(scenes, self.draw_said(len(scenes), generator, probability), generator)

    def names_of(self, said: Tensor) -> list[tuple[str, ...]]:
        """Attributes that each row of `said` (B x A bool) marks."""
        return [tuple(name for name, states in zip(self.names, row, strict=True) if states) for row in said.tolist()]


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes of one world.

    Attributes:
        world: that they are of.
        attributes: B x A attribute indices, int64; the column of a name is `world.column[name]`.
        jitter: B x J values in [0, 1), float32; all that varies between two pictures of the same attributes.
    """

    world: World
    attributes: Tensor
    jitter: Tensor

    def __len__(self) -> int:
        return len(self.attributes)

    def __getitem__(self, rows: Tensor | slice) -> Scenes:
        return Scenes(self.world, self.attributes[rows], self.jitter[rows])

    def column(self, name: str) -> Tensor:
        """Indices of one attribute, shape B."""
        return self.attributes[:, self.world.column[name]]

    def repeat(self, times: int) -> Scenes:
        """Each scene `times` times in a row: B * times scenes."""
        parts = (self.attributes, self.jitter)
        return Scenes(self.world, *(part.repeat_interleave(times, dim=0) for part in parts))

    def rejittered(self, generator: torch.Generator) -> Scenes:
        """The same attributes in other pictures."""
        return Scenes(self.world, self.attributes.clone(), torch.rand(self.jitter.shape, generator=generator))

    def changed(self, name: str, generator: torch.Generator) -> Scenes:
        """The same scenes with attribute `name` set to another of its values, jitter kept."""
        column = self.world.column[name]
        count = self.world.counts[column]
        attributes = self.attributes.clone()
        step = torch.randint(1, count, (len(self),), generator=generator)
        attributes[:, column] = (attributes[:, column] + step) % count
        return Scenes(self.world, attributes, self.jitter)

    def with_unsaid(self, generator: torch.Generator, keep: tuple[str, ...]) -> Scenes:
        """Other scenes that share only the attributes named in `keep` with these."""
        fresh = self.world.sample(len(self), generator)
        for name in keep:
            fresh.attributes[:, self.world.column[name]] = self.column(name)
        return fresh


def words_of(text: str) -> frozenset[str]:
    """The words of a text, in lower case."""
    return frozenset(re.findall(r"[^\W\d_]+", text.lower()))


def concatenate(*batches: Scenes) -> Scenes:
    """One batch of all scenes, in order; they are of one world."""
    return Scenes(
        batches[0].world,
        torch.cat([batch.attributes for batch in batches]),
        torch.cat([batch.jitter for batch in batches]),
    )
