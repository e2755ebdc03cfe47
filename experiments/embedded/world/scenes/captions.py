"""Captions of scenes, from one word to full detail."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.embedded.world.scenes.attributes import ATTRIBUTES

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
OPENINGS = ("a", "a picture of a", "a drawing of a", "one")

# How often a training caption states an attribute; the unsaid ones never.
SAID_PROBABILITY = {"shape": 1.0, "colour": 0.9, "background": 0.85, "position": 0.75}


def caption(values: Mapping[str, str], said: tuple[str, ...], opening: str = "a") -> str:
    """Words for a scene that state the attributes in `said` and no other.

    Args:
        values: attribute name to value name, as in `ATTRIBUTES`.
        said: attributes to state.
        opening: words before the noun phrase.

    Returns:
        For example "a red star at night, on the left".
    """
    word = {name: values[name] if name in said else "" for name in ATTRIBUTES}
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
