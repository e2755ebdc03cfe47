"""Images of the emoji world, with feedback and without, as gates and cards need them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from experiments.embedded.gates.steering import GUIDANCE, Feedback
from experiments.embedded.world.world import Scenes
from fabric.generator import FabricGenerator, Request
from fabric.params import FabricParams

STEPS = 20  # as in the authors' experiments
PLAIN = FabricParams(guidance_scale=GUIDANCE)
_BATCH = 16


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


def generated(fabric: FabricGenerator, requests: list[Request], steps: int) -> Tensor:
    """An image of each request, B x 3 x 64 x 64 in [-1, 1]."""
    return torch.cat([fabric(requests[k : k + _BATCH], steps).images for k in range(0, len(requests), _BATCH)])
