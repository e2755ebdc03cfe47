"""The world of the embedded model: what a scene is made of, and how scenes are drawn at random.

A scene is a row of attribute indices (what is there) and a row of jitter (how it happens to look). Captions may
state the attributes in `STATED`; those in `UNSAID` are never stated to the generator, so that feedback images carry
what prompts do not.

Notation:
    B: number of scenes.
    A: number of attributes, `len(ATTRIBUTES)`; column order is the order of that mapping.
    J: number of jitter values of a scene, `JITTER`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "heart", "cross", "ring", "moon"),
    "colour": ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"),
    "background": ("sky", "night", "sand", "meadow", "snow", "dusk"),
    "position": ("centre", "left", "right", "top", "bottom"),
    "size": ("small", "medium", "large"),
    "texture": ("plain", "striped", "dotted"),
    "light": ("soft", "left", "right"),
    "style": ("clear", "hills", "rays", "bubbles"),
    "companion": ("none", "ball", "cube"),
}
NAMES = tuple(ATTRIBUTES)
COLUMN = {name: column for column, name in enumerate(NAMES)}
STATED = ("shape", "colour", "background", "position")
UNSAID = ("size", "texture", "light", "style", "companion")
JITTER = 24

# One (shape, colour, background) combination in twelve is never shown to the generator in training.
_HELD_OUT_EVERY = 12


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes.

    Attributes:
        attributes: B x A attribute indices, int64; the column of a name is `COLUMN[name]`.
        jitter: B x J values in [0, 1), float32; all that varies between two pictures of the same attributes.
    """

    attributes: Tensor
    jitter: Tensor

    def __len__(self) -> int:
        return len(self.attributes)

    def __getitem__(self, rows: Tensor | slice) -> Scenes:
        return Scenes(self.attributes[rows], self.jitter[rows])

    def column(self, name: str) -> Tensor:
        """Indices of one attribute, shape B."""
        return self.attributes[:, COLUMN[name]]

    def repeat(self, times: int) -> Scenes:
        """Each scene `times` times in a row: B * times scenes."""
        return Scenes(
            self.attributes.repeat_interleave(times, dim=0),
            self.jitter.repeat_interleave(times, dim=0),
        )

    def rejittered(self, generator: torch.Generator) -> Scenes:
        """The same attributes in other pictures."""
        return Scenes(self.attributes.clone(), torch.rand(self.jitter.shape, generator=generator))

    def changed(self, name: str, generator: torch.Generator) -> Scenes:
        """The same scenes with attribute `name` set to another of its values, jitter kept."""
        count = len(ATTRIBUTES[name])
        attributes = self.attributes.clone()
        step = torch.randint(1, count, (len(self),), generator=generator)
        attributes[:, COLUMN[name]] = (attributes[:, COLUMN[name]] + step) % count
        return Scenes(attributes, self.jitter)

    def with_unsaid(self, generator: torch.Generator, keep: tuple[str, ...]) -> Scenes:
        """Other scenes that share only the attributes named in `keep` with these."""
        fresh = sample(len(self), generator)
        for name in keep:
            fresh.attributes[:, COLUMN[name]] = self.column(name)
        return fresh


def concatenate(*batches: Scenes) -> Scenes:
    """One batch of all scenes, in order."""
    return Scenes(
        torch.cat([batch.attributes for batch in batches]),
        torch.cat([batch.jitter for batch in batches]),
    )


def is_held_out(scenes: Scenes) -> Tensor:
    """Which scenes show a (shape, colour, background) that the generator never saw; bool, shape B.

    The rule leaves every pair of shape and colour, and every pair with a background, in training.
    """
    shape, colour, background = (scenes.column(name) for name in STATED[:3])
    return (shape + 3 * colour + 5 * background) % _HELD_OUT_EVERY == 0


def sample(count: int, generator: torch.Generator, *, held_out: bool | None = None) -> Scenes:
    """Draws scenes uniformly.

    Args:
        count: number of scenes B.
        generator: the source of randomness.
        held_out: True for held-out combinations only, False for training ones only, None for both.

    Returns:
        B scenes.
    """
    attributes = torch.stack([torch.randint(len(v), (count,), generator=generator) for v in ATTRIBUTES.values()], dim=1)
    scenes = Scenes(attributes, torch.rand(count, JITTER, generator=generator))
    if held_out is None:
        return scenes
    wrong = is_held_out(scenes) != held_out
    if wrong.any():
        redrawn = sample(int(wrong.sum()), generator, held_out=held_out)
        scenes.attributes[wrong] = redrawn.attributes
        scenes.jitter[wrong] = redrawn.jitter
    return scenes
