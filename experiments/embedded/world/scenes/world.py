"""The world of scenes: a shape of one colour before a background, with what else there is to see."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from experiments.embedded.world.scenes.attributes import ATTRIBUTES, FULL_PROMPT, JITTER, SHORT_PROMPT, UNSAID
from experiments.embedded.world.scenes.captions import OPENINGS, SAID_PROBABILITY, caption
from experiments.embedded.world.scenes.render import render
from experiments.embedded.world.world import Scenes, World

# One (shape, colour, background) combination in twelve is never shown to the generator in training.
_HELD_OUT_EVERY = 12


class SceneWorld(World):
    """Scenes of `ATTRIBUTES`, drawn by `render`."""

    name = "scenes"
    attributes: Mapping[str, tuple[str, ...]] = ATTRIBUTES
    full_prompt = FULL_PROMPT
    short_prompt = SHORT_PROMPT
    unsaid = UNSAID
    structure = ("size", "companion")
    style = ("texture", "light", "style")
    said: Mapping[str, float] = SAID_PROBABILITY
    openings = OPENINGS
    faint: Mapping[str, float] = {"style": 3.0, "shape": 2.0, "texture": 2.0, "size": 1.5}
    jitter = JITTER

    def is_held_out(self, scenes: Scenes) -> Tensor:
        """See `World`; every pair of shape and colour, and every pair with a background, stays in training."""
        shape, colour, background = (scenes.column(name) for name in self.short_prompt)
        return (shape + 3 * colour + 5 * background) % _HELD_OUT_EVERY == 0

    def render(self, scenes: Scenes) -> Tensor:
        """See `World`."""
        return render(scenes)

    def caption(self, values: Mapping[str, str], said: tuple[str, ...], opening: str = "a") -> str:
        """See `World`; for example "a red star at night, on the left"."""
        return caption(values, said, opening)


SCENES = SceneWorld()
