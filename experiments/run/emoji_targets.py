"""Hidden targets among the emoji: pictures that the embedded model makes of a caption which says all of a taste.

The drawings that the model was trained on are not shipped. It makes the pictures in double precision, so that rounding,
which differs between machines, hardly ever shows in a grey level, and keeps them on disk, since that takes a while.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from huggingface_hub import cached_assets_path
from PIL.Image import Image
from torch import Tensor

from experiments.embedded.cache import read_cache, write_cache
from experiments.embedded.gates.emoji_steering import PLAIN
from experiments.embedded.gates.steering import generated
from experiments.embedded.world.world import Scenes, concatenate
from experiments.embedded.worlds import WORLDS
from experiments.run.hidden_targets import HiddenTargets
from fabric.generator import FabricGenerator, Request
from fabric.images import to_pictures
from fabric.models import EMBEDDED_EMOJI, load, locate

_STEPS = 12
_SCHEDULER = "dpm++2m"  # as good in 12 steps as the ancestral one in 20
_SEEDS = 2**31
_NEAR, _MISLEADING = 4, 2  # liked pictures of a board
_DRAWN = 100  # scenes, enough to meet as many things as a board shows


class EmojiTargets(HiddenTargets):
    """Prompts name a thing; a taste is the hand that drew it and the backdrop."""

    world = WORLDS[EMBEDDED_EMOJI]
    model = EMBEDDED_EMOJI
    shown = world.full_prompt
    held_out = False
    unshown = True

    def pictures(self, scenes: Scenes, showing: tuple[str, ...] = ()) -> list[Image]:
        """See `HiddenTargets`; the jitter of a scene is its seed."""
        captions = self.world.captions(scenes, tuple(dict.fromkeys((*self.shown, *showing))))
        seeds = [int(value * _SEEDS) for value in scenes.jitter[:, 0].tolist()]
        key = hashlib.sha256(json.dumps([captions, seeds, self._weights]).encode()).hexdigest()
        path = Path(cached_assets_path("fabric-bo", "emoji", "hidden-targets")) / f"{key[:32]}.safetensors"
        stored = read_cache(path, key)
        if stored is None:
            stored = {"images": self._generated(captions, seeds)}
            write_cache(path, key, stored)
        return to_pictures(stored["images"])

    def _generated(self, captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """B x 3 x 64 x 64 in [-1, 1]."""
        requests = [Request(caption, seed, PLAIN) for caption, seed in zip(captions, seeds, strict=True)]
        return generated(self._generator, requests, _STEPS).contiguous()

    @cached_property
    def _generator(self) -> FabricGenerator:
        pipeline = load(EMBEDDED_EMOJI, scheduler=_SCHEDULER, device="cpu")
        for module in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            module.double()
        return FabricGenerator(pipeline)

    @cached_property
    def _weights(self) -> str:
        """A name of the model by content, since another one makes other pictures."""
        files = sorted(Path(locate(EMBEDDED_EMOJI)).rglob("*.safetensors"))
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def draw_liked(self, count: int, tastes: Sequence[Scenes], generator: torch.Generator) -> Scenes:
        """See `HiddenTargets`; things that are all different, and that the generator was shown in the tastes too."""
        drawn = self.world.sample(_DRAWN, generator, held_out=False)
        drawn = drawn[self.is_known(drawn, tastes)]
        first: dict[int, int] = {}
        for place, concept in enumerate(drawn.column("concept").tolist()):
            first.setdefault(concept, place)
        return drawn[torch.tensor(list(first.values())[:count])]

    def usual_board(self, taste: Scenes, generator: torch.Generator) -> tuple[Scenes, Scenes]:
        """Six liked scenes of as many things: four in the taste, two by any hand on any backdrop. None is disliked."""
        drawn = self.draw_liked(_NEAR + _MISLEADING, [taste], generator)
        return concatenate(self.with_taste(drawn[:_NEAR], taste), drawn[_NEAR:]), drawn[:0]
