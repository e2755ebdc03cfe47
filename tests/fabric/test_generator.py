"""The laws of section 3 of the design, on tiny pipelines of every layout."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fabric.bank import ReferenceBank
from fabric.encoding import Pipeline
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage
from fabric.models import SCHEDULERS, set_scheduler
from fabric.params import FabricParams
from fabric.seeding import generator_for
from tests.fabric import plain
from tests.fabric.pipelines import build

STEPS = 3
PROMPT = "a red star"


def picture(key: int, size: tuple[int, int] = (64, 64)) -> FeedbackImage:
    """A smooth random picture."""
    small = np.random.default_rng(key).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return FeedbackImage(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


A, B, C = picture(1), picture(2), picture(3)
TWIN = FeedbackImage(A.picture)
object.__setattr__(TWIN, "id", "twin")  # of another name, so that it is a reference of its own
PARAMS = FabricParams(strength=0.8, guidance_scale=4, outer=1)


def one(fabric: FabricGenerator, **changes: Any) -> Tensor:
    """The image of one request."""
    return fabric([Request(PROMPT, 3, **{"params": PARAMS, **changes})], STEPS).images


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_no_feedback_equals_diffusers(scheduler: str) -> None:
    pipe = build("sd1")
    set_scheduler(pipe, scheduler)
    _compare_with_diffusers(pipe)


def test_no_feedback_equals_diffusers_in_every_layout(pipeline: Pipeline) -> None:
    _compare_with_diffusers(pipeline)


def _compare_with_diffusers(pipe: Pipeline) -> None:
    ours = one(FabricGenerator(pipe))
    side = pipe.unet.config.sample_size
    theirs = pipe(
        PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        latents=torch.randn(1, 4, side, side, generator=generator_for("latents", 3)),
        generator=[generator_for("ancestral", 3)],
        output_type="pt",
    ).images
    assert (ours * 0.5 + 0.5 - theirs).abs().max() <= 1 / 255


@pytest.mark.parametrize(
    ("liked", "disliked"),
    [([A], []), ([], [B]), ([A], [B]), ([A, B], [C]), ([C], [A, B])],
    ids=["liked", "disliked", "both", "more liked", "more disliked"],
)
def test_equals_algorithm_1(pipeline: Pipeline, liked: list[FeedbackImage], disliked: list[FeedbackImage]) -> None:
    _compare_with_algorithm_1(pipeline, liked, disliked, {A.id: 0.3, C.id: 0.9})


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_equals_algorithm_1_with_every_scheduler(scheduler: str) -> None:
    pipe = build("sd1")
    set_scheduler(pipe, scheduler)
    _compare_with_algorithm_1(pipe, [A], [B], {})


def _compare_with_algorithm_1(
    pipe: Pipeline, liked: list[FeedbackImage], disliked: list[FeedbackImage], weights: dict[str, float]
) -> None:
    params = replace(PARAMS, weights=weights, neg_scale=0.7)
    expected = plain.generate(
        pipe,
        PROMPT,
        3,
        STEPS,
        4.0,
        [(image, 0.8 * weights.get(image.id, 1.0)) for image in liked],
        [(image, 0.7 * 0.8 * weights.get(image.id, 1.0)) for image in disliked],
    )
    ours = one(FabricGenerator(pipe), params=params, liked=tuple(liked), disliked=tuple(disliked))
    assert (ours - expected).norm() / expected.norm() < 1e-4
    without = one(FabricGenerator(pipe))
    assert (without - expected).norm() / expected.norm() > 1e-3


def test_weight_zero_is_absence_and_costs_nothing(pipeline: Pipeline) -> None:
    fabric = FabricGenerator(pipeline)
    plainly = one(fabric)
    for params in (
        FabricParams(strength=0, guidance_scale=4),
        replace(PARAMS, weights={A.id: 0, B.id: 0}),
        replace(PARAMS, start=0.5, end=0.5),
    ):
        assert torch.equal(one(fabric, params=params, liked=(A,), disliked=(B,)), plainly)
    assert len(fabric.bank) == 0
    steered = one(fabric, liked=(A,))
    torch.testing.assert_close(
        one(fabric, params=replace(PARAMS, weights={B.id: 0}), liked=(A, B)), steered, rtol=0, atol=1e-5
    )


@pytest.mark.slow
def test_an_image_depends_on_its_request_alone(pipeline: Pipeline) -> None:
    requests = [
        Request(PROMPT, 3, PARAMS, (A,), (B,)),
        Request("a blue ring at night", 4, replace(PARAMS, strength=2, guidance_scale=2), (A, B, C)),
        Request("", 5, replace(PARAMS, end=0.5), (), (C,), "a square"),
        Request(PROMPT, 6),
    ]
    pipeline.to(torch.float64)  # in single precision rounding differs with the size of a batch
    untouched = copy.deepcopy(pipeline)
    together = FabricGenerator(pipeline)(requests, 2).images
    for k, request in enumerate(requests):
        cold = FabricGenerator(copy.deepcopy(untouched))
        alone = cold([request], 2).images
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=2e-6)
        assert torch.equal(cold([request], 2).images, alone)  # the bank is warm now
    distances = torch.cdist(together.flatten(1), together.flatten(1))
    assert (distances + torch.eye(4) > 1e-2).all()


def test_two_copies_of_half_weight_equal_one_whole(pipeline: Pipeline) -> None:
    fabric = FabricGenerator(pipeline.to(torch.float64))
    whole = one(fabric, liked=(A,), disliked=(C,))
    halves = replace(PARAMS, weights={A.id: 0.5, TWIN.id: 0.5})
    torch.testing.assert_close(one(fabric, params=halves, liked=(A, TWIN), disliked=(C,)), whole, rtol=0, atol=2e-6)
    assert (one(fabric, liked=(A, TWIN), disliked=(C,)) - whole).abs().max() > 1e-3


def test_a_picture_liked_twice_is_one_reference(pipeline: Pipeline) -> None:
    fabric = FabricGenerator(pipeline)
    assert torch.equal(one(fabric, liked=(A, A)), one(fabric, liked=(A,)))


def test_no_global_randomness(pipeline: Pipeline) -> None:
    fabric = FabricGenerator(pipeline)
    before = torch.get_rng_state()
    params = replace(PARAMS, prompt_dropout=0.5)
    first = one(fabric, params=params, liked=(A,), disliked=(B,))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(one(fabric, params=params, liked=(A,), disliked=(B,)), first)


def test_an_exception_leaves_the_pipeline_as_it_was(pipeline: Pipeline) -> None:
    fabric = FabricGenerator(pipeline)
    plainly, steered = one(fabric), one(fabric, liked=(A,))

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fabric([Request(PROMPT, 3, PARAMS, (A,))], STEPS, on_step=fail)
    assert torch.equal(one(fabric), plainly)
    assert torch.equal(one(fabric, liked=(A,)), steered)
    _compare_with_diffusers(pipeline)


def test_a_tiny_budget_changes_nothing_but_time() -> None:
    fabric = FabricGenerator(build("sd1"))
    tight = FabricGenerator(build("sd1"), ReferenceBank(200_000))
    for _ in range(2):
        assert torch.equal(one(tight, liked=(A, B), disliked=(C,)), one(fabric, liked=(A, B), disliked=(C,)))
    assert 0 < tight.bank.bytes <= 200_000
    assert fabric.bank.bytes > 200_000


def test_references_are_computed_once() -> None:
    fabric = FabricGenerator(build("sd1"))
    one(fabric, liked=(A, B))
    count = len(fabric.bank)
    one(fabric, params=replace(PARAMS, strength=3, guidance_scale=2), liked=(B,), disliked=(A,))
    assert len(fabric.bank) == count
    one(fabric, liked=(C,))
    assert len(fabric.bank) == count * 3 // 2


def test_dropout_reports_the_prompts_used() -> None:
    fabric = FabricGenerator(build("sd1"))
    prompt = "a red star at night on the left"
    requests = [Request(prompt, seed, FabricParams(prompt_dropout=0.5)) for seed in range(4)]
    generated = fabric(requests, 1)
    assert len(set(generated.prompts)) > 1
    assert all(set(used.split()) <= set(prompt.split()) for used in generated.prompts)
    assert fabric(requests[2:3], 1).prompts == generated.prompts[2:3]
    assert fabric([Request(prompt, 0, FabricParams(prompt_dropout=1))], 1).prompts == [""]


@pytest.mark.parametrize("size", [(32, 64), (80, 48), (72, 60)])
def test_other_sizes(size: tuple[int, int]) -> None:
    fabric = FabricGenerator(build("sd1"))
    images = [
        fabric([Request(PROMPT, 3, PARAMS, liked)], STEPS, size).images for liked in ((), (picture(1, (90, 40)),))
    ]
    assert images[0].shape == (1, 3, *size)
    assert (images[0] - images[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("steps", "size", "message"),
    [(0, None, r"steps: 0 is out of range"), (2, (64, 63), r"size: 63x64 is not possible; allowed: multiples of 4")],
)
def test_impossible_steps_and_sizes_are_named(steps: int, size: tuple[int, int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FabricGenerator(build("sd1"))([Request(PROMPT, 0)], steps, size)


def test_masks_of_ones_change_nothing_and_of_zeros_are_absence() -> None:
    fabric = FabricGenerator(build("sd1"))
    plainly, steered = one(fabric), one(fabric, liked=(A,))
    masked = {value: one(fabric, liked=(replace(A, mask=torch.full((8, 8), value)),)) for value in (0.0, 0.5, 1.0)}
    torch.testing.assert_close(masked[1.0], steered, rtol=0, atol=1e-5)
    torch.testing.assert_close(masked[0.0], plainly, rtol=0, atol=1e-5)
    half = one(fabric, params=replace(PARAMS, strength=0.4), liked=(A,))
    torch.testing.assert_close(masked[0.5], half, rtol=0, atol=1e-5)


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    fabric = FabricGenerator(build("sd1"))
    requests = [Request(PROMPT, seed, PARAMS, (A,)) for seed in range(5)]
    expected = fabric(requests, STEPS).images
    forward = fabric.pipeline.unet.forward

    def limited(sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(sample) > limit:
            raise torch.OutOfMemoryError
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(fabric.pipeline.unet, "forward", limited)
    limit = 4
    torch.testing.assert_close(fabric(requests, STEPS).images, expected, rtol=0, atol=1e-4)
    limit = 1
    with pytest.raises(MemoryError, match="one image of 64x64 does not fit; try a smaller size"):
        fabric(requests, STEPS)
