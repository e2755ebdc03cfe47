"""The worlds that the embedded models know."""

from __future__ import annotations

from experiments.embedded.world.emoji.world import EmojiWorld
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import World
from fabric.models import EMBEDDED, EMBEDDED_EMOJI

# By model. The drawings of the emoji are not shipped, and what is not drawn needs none of them.
WORLDS: dict[str, World] = {EMBEDDED: SCENES, EMBEDDED_EMOJI: EmojiWorld()}
