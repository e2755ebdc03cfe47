"""Images of the emoji world, with feedback and without, as gates and cards need them."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from experiments.embedded.gates.steering import GUIDANCE, Feedback, generated
from experiments.embedded.world.world import Scenes
from fabric.generator import FabricGenerator, Request
from fabric.params import FabricParams

STEPS = 20  # as in the authors' experiments
PLAIN = FabricParams(guidance_scale=GUIDANCE)


def with_guidance(params: FabricParams) -> FabricParams:
    """The settings at the guidance of the embedded model."""
    return replace(params, guidance_scale=GUIDANCE)


def steered(
    fabric: FabricGenerator,
    scenes: Scenes,
    params: FabricParams,
    steps: int,
    liked: list[Feedback] | None = None,
    disliked: list[Feedback] | None = None,
) -> Tensor:
    """An image of the thing of each scene, at the seed of its place."""
    nothing: list[Feedback] = [()] * len(scenes)
    prompts = scenes.world.captions(scenes, scenes.world.short_prompt)
    shown = zip(prompts, liked or nothing, disliked or nothing, strict=True)
    requests = [Request(prompt, seed, params, good, bad) for seed, (prompt, good, bad) in enumerate(shown)]
    return generated(fabric, requests, steps)
