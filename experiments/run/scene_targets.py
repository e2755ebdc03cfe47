"""Hidden targets among the scenes: rendered, of combinations that the generator never saw."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL.Image import Image

from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes, concatenate
from experiments.run.hidden_targets import HiddenTargets
from fabric.images import to_pictures
from fabric.models import EMBEDDED


class SceneTargets(HiddenTargets):
    """Prompts state shape, colour and background; a taste is texture, light, style, companion and size."""

    world = SCENES
    model = EMBEDDED
    shown = SCENES.names
    held_out = True
    unshown = False  # what a scene lacks of a taste shows in any of its shape and colour

    def pictures(self, scenes: Scenes, showing: tuple[str, ...] = ()) -> list[Image]:
        """See `HiddenTargets`; a scene shows everything."""
        return to_pictures(to_signed(SCENES.render(scenes)))

    def draw_liked(self, count: int, tastes: Sequence[Scenes], generator: torch.Generator) -> Scenes:
        """See `HiddenTargets`; of any shape, colour and place."""
        return SCENES.sample(count, generator)

    def usual_board(self, taste: Scenes, generator: torch.Generator) -> tuple[Scenes, Scenes]:
        """Two liked and two disliked scenes of any shape, colour and place; the second of each sign misleads.

        The first liked scene has the taste but for one attribute, and so has the second disliked one, a click by
        mistake. The other two are any scenes at all; that one of them is liked has to do with something else.
        """
        near = []
        for _ in range(2):
            name = SCENES.unsaid[int(torch.randint(len(SCENES.unsaid), (1,), generator=generator))]
            near.append(self.with_taste(SCENES.sample(1, generator), taste).changed(name, generator))
        others = SCENES.sample(2, generator)
        right, mistaken = near
        return concatenate(right, others[:1]), concatenate(others[1:], mistaken)
