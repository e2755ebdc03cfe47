"""Captions of scenes, from one word to full detail, and the vocabulary they are made of."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.embedded.world.scenes import ATTRIBUTES, COLUMN, NAMES, Scenes

_BACKGROUND = {
    "sky": "in the sky",
    "night": "at night",
    "sand": "on sand",
    "meadow": "in a meadow",
    "snow": "in snow",
    "dusk": "at dusk",
}
_POSITION = {
    "centre": "in the centre",
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
}
_LIGHT = {"soft": "soft light", "left": "light from the left", "right": "light from the right"}
_STYLE = {"clear": "", "hills": "with hills", "rays": "with rays", "bubbles": "with bubbles"}
_COMPANION = {"none": "", "ball": "and a white ball", "cube": "and a black cube"}
_OPENINGS = ("a", "a picture of a", "a drawing of a", "one")

# How often a training caption states an attribute; the unsaid ones never.
SAID_PROBABILITY = {"shape": 1.0, "colour": 0.9, "background": 0.85, "position": 0.75}
FULL_PROMPT = ("shape", "colour", "background", "position")
SHORT_PROMPT = ("shape", "colour", "background")


def caption(values: dict[str, str], said: tuple[str, ...] = FULL_PROMPT, opening: str = "a") -> str:
    """Words for a scene that state the attributes in `said` and no other.

    Args:
        values: attribute name to value name, as in `ATTRIBUTES`.
        said: attributes to state.
        opening: words before the noun phrase.

    Returns:
        For example "a red star at night, on the left".
    """
    word = {name: values[name] if name in said else "" for name in NAMES}
    noun = [word["size"], word["texture"], word["colour"], word["shape"] or "shape"]
    head = " ".join([opening, *filter(None, noun)])
    head = " ".join(filter(None, [head, _BACKGROUND.get(word["background"], "")]))
    tail = (
        _POSITION.get(word["position"], ""),
        _STYLE.get(word["style"], ""),
        _COMPANION.get(word["companion"], ""),
        _LIGHT.get(word["light"], ""),
    )
    return ", ".join([head, *filter(None, tail)])


def values_of(scenes: Scenes, row: int) -> dict[str, str]:
    """Attribute names to value names of one scene."""
    return {name: ATTRIBUTES[name][int(scenes.attributes[row, COLUMN[name]])] for name in NAMES}


def captions(scenes: Scenes, said: tuple[str, ...] = FULL_PROMPT) -> list[str]:
    """A caption for each scene that states exactly the attributes in `said`."""
    return [caption(values_of(scenes, row), said) for row in range(len(scenes))]


def draw_said(count: int, generator: torch.Generator, probability: dict[str, float] | None = None) -> Tensor:
    """Draws what each of `count` captions states.

    Args:
        count: number of captions B.
        generator: the source of randomness.
        probability: chance that an attribute is stated, 0 where not named; `SAID_PROBABILITY` by default.

    Returns:
        B x A bool.
    """
    stated = SAID_PROBABILITY if probability is None else probability
    chance = torch.tensor([stated.get(name, 0.0) for name in NAMES])
    return torch.rand(count, len(NAMES), generator=generator) < chance


def captions_stating(scenes: Scenes, said: Tensor, generator: torch.Generator) -> list[str]:
    """A caption for each scene that states what its row of `said` (B x A bool) marks; openings vary."""
    openings = torch.randint(len(_OPENINGS), (len(scenes),), generator=generator).tolist()
    return [
        caption(
            values_of(scenes, row),
            tuple(name for name, stated in zip(NAMES, said[row].tolist(), strict=True) if stated),
            _OPENINGS[openings[row]],
        )
        for row in range(len(scenes))
    ]


def random_captions(
    scenes: Scenes, generator: torch.Generator, probability: dict[str, float] | None = None
) -> list[str]:
    """A caption of random detail for each scene; see `draw_said`."""
    return captions_stating(scenes, draw_said(len(scenes), generator, probability), generator)
