"""Prompts that somebody who has none in mind may begin with."""

from __future__ import annotations

from experiments.embedded.worlds import WORLDS

_COUNT = 4
_OF_ANY_MODEL = (
    "a lighthouse on a cliff at dusk, oil painting",
    "portrait of an old sailor, soft window light",
    "a paper boat on a rainy street, close up",
    "a quiet reading room with tall windows, watercolour",
)


def examples(model: str) -> list[str]:
    """Prompts that a model can draw.

    Args:
        model: its name.
    """
    world = WORLDS.get(model)
    if world is None:
        return list(_OF_ANY_MODEL)
    first = {name: values[0] for name, values in world.attributes.items()}
    stated = {name: world.attributes[name] for name in world.short_prompt}
    chosen = ({name: its[k * len(its) // _COUNT] for name, its in stated.items()} for k in range(_COUNT))
    return [world.caption(first | values, world.short_prompt) for values in chosen]
