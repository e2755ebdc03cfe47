from __future__ import annotations

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from fabric.feedback import FabricGenerator, Feedback
from fabric.seeding import generator_for

STEPS = 3
PROMPTS = ["a red star", "a blue ring at night"]
SEEDS = [3, 4]
GUIDANCE = torch.tensor([4.0, 2.0])


def _images(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1


def _feedback(liked: list[float], disliked: list[float], batch: int = 2) -> Feedback:
    def weights(values: list[float]) -> Tensor:
        return torch.tensor(values).expand(STEPS, batch, -1).clone()

    return Feedback(_images(len(liked)), weights(liked), weights(disliked))


def test_no_feedback_equals_diffusers(pipeline: StableDiffusionPipeline) -> None:
    ours = FabricGenerator(pipeline)(PROMPTS[:1], SEEDS[:1], torch.tensor([4.0]), STEPS)
    latents = torch.randn(1, 4, 16, 16, generator=generator_for("latents", SEEDS[0]))
    theirs = pipeline(
        PROMPTS[:1],
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        latents=latents,
        generator=[generator_for("ancestral", SEEDS[0])],
        output_type="pt",
    ).images
    assert (ours * 0.5 + 0.5 - theirs).abs().max() < 1 / 255


@pytest.mark.parametrize(("liked", "disliked"), [([1.0], [0.0]), ([0.0], [1.0])])
def test_feedback_changes_images(pipeline: StableDiffusionPipeline, liked: list[float], disliked: list[float]) -> None:
    fabric = FabricGenerator(pipeline)
    plain = fabric(PROMPTS, SEEDS, GUIDANCE, STEPS)
    steered = fabric(PROMPTS, SEEDS, GUIDANCE, STEPS, _feedback(liked, disliked))
    assert (plain - steered).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_reference_of_weight_zero_leaves_images_unchanged(
    pipeline: StableDiffusionPipeline,
) -> None:
    fabric = FabricGenerator(pipeline)
    one = fabric(PROMPTS, SEEDS, GUIDANCE, STEPS, _feedback([0.8], [0.0]))
    two = fabric(PROMPTS, SEEDS, GUIDANCE, STEPS, _feedback([0.8, 0.0], [0.0, 0.0]))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)


def test_image_does_not_depend_on_its_batch(pipeline: StableDiffusionPipeline) -> None:
    fabric = FabricGenerator(pipeline)
    both = fabric(PROMPTS, SEEDS, GUIDANCE, STEPS, _feedback([0.8], [0.3]))
    alone = fabric(PROMPTS[1:], SEEDS[1:], GUIDANCE[1:], STEPS, _feedback([0.8], [0.3], batch=1))
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-4)


def test_no_global_randomness(pipeline: StableDiffusionPipeline) -> None:
    fabric = FabricGenerator(pipeline)
    before = torch.get_rng_state()
    first = fabric(PROMPTS, SEEDS, GUIDANCE, STEPS, _feedback([0.8], [0.3]))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, fabric(PROMPTS, SEEDS, GUIDANCE, STEPS, _feedback([0.8], [0.3])))
