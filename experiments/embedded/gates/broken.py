"""Sound images of the generator, and ones that it spoils in three ways: what a predictor of faults must tell apart."""

from __future__ import annotations

from torch import Tensor

from experiments.embedded.gates.result import share
from experiments.embedded.gates.steering import feedback, generated
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from fabric.generator import FabricGenerator, Request
from fabric.params import FabricParams
from fabric.seeding import generator_for

_GUIDANCE, _STEPS, _FEW = 4.0, 16, 3
SOUND = "sound"
# Too few steps, too much guidance, too strong feedback.
KINDS = {
    SOUND: (FabricParams(guidance_scale=_GUIDANCE), _STEPS),
    f"{_FEW} steps": (FabricParams(guidance_scale=_GUIDANCE), _FEW),
    "guidance 20": (FabricParams(guidance_scale=20.0), _STEPS),
    "strength 8": (FabricParams(guidance_scale=_GUIDANCE, strength=8.0, outer=1.0), _STEPS),
}


def prompts_of(count: int) -> list[str]:
    """Prompts that state every attribute; image k of every kind is of prompt k and seed k, however many there are."""
    return [SCENES.captions(_scene("prompts", k), SCENES.full_prompt)[0] for k in range(count)]


def images_of(fabric: FabricGenerator, kind: str, count: int, effort: float = 1.0, start: int = 0) -> Tensor:
    """Images of one of `KINDS`; those of strength 8 are given an unlike picture.

    Args:
        fabric: the generator.
        kind: of `KINDS`.
        count: of images.
        start: place of the first.
        effort: share of the denoising steps.

    Returns:
        `count` x 3 x S x S in [-1, 1].
    """
    params, steps = KINDS[kind]
    prompts = prompts_of(start + count)
    requests = []
    for seed in range(start, start + count):
        liked = feedback(to_signed(SCENES.render(_scene("liked", seed)))) if params.strength > 1 else ()
        requests.append(Request(prompts[seed], seed, params, liked))
    return generated(fabric, requests, share(steps, effort))


def _scene(what: str, place: int) -> Scenes:
    return SCENES.sample(1, generator_for("gate", "rahf", what, place))
