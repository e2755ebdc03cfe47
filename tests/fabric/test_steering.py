"""`fabric.feedback` on pipelines of every task, and what generators must not do to each other."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from peft import LoraConfig
from PIL import Image
from torch import Tensor

from fabric.bank import ReferenceBank
from fabric.encoding import Pipeline
from fabric.generator import FabricGenerator, Request
from fabric.hosts import host_of
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.steering import feedback
from tests.fabric.pipelines import build
from tests.fabric.test_generator import PARAMS, PROMPT, STEPS, A, B, C, one, picture

pytestmark = pytest.mark.filterwarnings("ignore")


def call(pipe: Any, **changes: Any) -> Tensor:
    """An image of the pipeline itself, 1 x 3 x H x W in [0, 1]."""
    options: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "guidance_scale": 4.0,
        "generator": [generator_for("ancestral", 3)],
        "output_type": "pt",
        **changes,
    }
    if "image" not in options:
        side = pipe.unet.config.sample_size
        options["latents"] = torch.randn(1, 4, side, side, generator=generator_for("latents", 3)).to(pipe.unet.dtype)
    images: Tensor = pipe(PROMPT, **options).images
    return images


def test_the_users_pipeline_gives_what_the_generator_gives(pipeline: Pipeline) -> None:
    plainly, processors = call(pipeline), dict(pipeline.unet.attn_processors)
    with feedback(pipeline, PARAMS, liked=(A,), disliked=(B,)):
        steered = call(pipeline)
        assert torch.equal(call(pipeline), steered)  # the bank is warm now
    ours = one(FabricGenerator(pipeline), liked=(A,), disliked=(B,))
    torch.testing.assert_close(steered * 2 - 1, ours, rtol=0, atol=1e-6)
    assert (steered - plainly).abs().max() > 0.05
    assert torch.equal(call(pipeline), plainly)
    assert all(pipeline.unet.attn_processors[name] is processors[name] for name in processors)


def _control(pipe: StableDiffusionPipeline) -> StableDiffusionControlNetPipeline:
    net = ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(8, 16, 16))
    return StableDiffusionControlNetPipeline(**pipe.components, controlnet=net, requires_safety_checker=False)


def _with_nine_channels(pipe: StableDiffusionPipeline) -> StableDiffusionInpaintPipeline:
    unet = copy.deepcopy(pipe.unet)
    first = unet.conv_in
    unet.conv_in = torch.nn.Conv2d(9, first.out_channels, 3, padding=1)
    unet.register_to_config(in_channels=9)
    return StableDiffusionInpaintPipeline(**{**pipe.components, "unet": unet}, requires_safety_checker=False)


_PICTURE = picture(9).picture
_HALF = Image.fromarray(np.repeat(np.array([[0, 255]], dtype=np.uint8), 32, axis=1).repeat(64, axis=0))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (
            lambda pipe: StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False),
            {"image": _PICTURE, "strength": 0.7},
        ),
        (
            lambda pipe: StableDiffusionInpaintPipeline(**pipe.components, requires_safety_checker=False),
            {"image": _PICTURE, "mask_image": _HALF, "strength": 0.9, "height": 64, "width": 64},
        ),
        (_with_nine_channels, {"image": _PICTURE, "mask_image": _HALF, "height": 64, "width": 64}),
        (_control, {"image": _PICTURE}),
    ],
    ids=["img2img", "inpaint", "inpaint with nine channels", "controlnet"],
)
def test_every_task(make: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    pipe = make(build("sd1"))
    pipe.set_progress_bar_config(disable=True)
    plainly = call(pipe, **options)
    with feedback(pipe, PARAMS, liked=(A,), disliked=(B,)):
        steered = call(pipe, **options)
    assert (steered - plainly).abs().max() > 0.02
    assert torch.equal(call(pipe, **options), plainly)
    with feedback(pipe, replace(PARAMS, strength=0), liked=(A,), disliked=(B,)):
        assert torch.equal(call(pipe, **options), plainly)


def test_without_an_unconditional_pass_attention_is_turned_away_from_disliked_images() -> None:
    pipe = build("sd1")
    plainly = call(pipe, guidance_scale=1.0)
    sizes: list[int] = []
    handle = pipe.unet.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    with feedback(pipe, PARAMS, disliked=(B,)):
        away = call(pipe, guidance_scale=1.0)
    handle.remove()
    assert set(sizes) == {1}
    assert (away - plainly).abs().max() > 0.01
    with feedback(pipe, replace(PARAMS, neg_scale=0), disliked=(B,)):
        assert torch.equal(call(pipe, guidance_scale=1.0), plainly)
    params = replace(PARAMS, guidance_scale=1)
    torch.testing.assert_close(
        one(FabricGenerator(pipe), params=params, disliked=(B,)), away * 2 - 1, rtol=0, atol=1e-6
    )
    mixed = FabricGenerator(pipe)([Request(PROMPT, 3, params, (), (B,)), Request(PROMPT, 3, PARAMS)], STEPS).images
    torch.testing.assert_close(mixed[:1], away * 2 - 1, rtol=0, atol=1e-4)
    torch.testing.assert_close(mixed[1:], one(FabricGenerator(pipe)), rtol=0, atol=1e-4)


def test_contexts_nest_and_the_innermost_counts() -> None:
    pipe = build("sd1")
    with feedback(pipe, PARAMS, liked=(A,)):
        first = call(pipe)
        with feedback(pipe, PARAMS, liked=(C,)):
            second = call(pipe)
            generated = one(FabricGenerator(pipe), liked=(B,))
        assert torch.equal(call(pipe), first)
    assert (first - second).abs().max() > 0.01
    assert torch.equal(generated, one(FabricGenerator(pipe), liked=(B,)))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_pipeline_as_it_was(error: type[BaseException]) -> None:
    pipe = build("sd1")
    plainly, processors = call(pipe), dict(pipe.unet.attn_processors)

    def fail(*args: Any) -> None:
        raise error

    handle = pipe.unet.mid_block.register_forward_hook(fail)
    with pytest.raises(error), feedback(pipe, PARAMS, liked=(A,)):  # inside the pass that records references
        call(pipe)
    handle.remove()
    assert all(pipe.unet.attn_processors[name] is processors[name] for name in processors)
    assert torch.equal(call(pipe), plainly)
    with feedback(pipe, PARAMS, liked=(A,)):
        assert (call(pipe) - plainly).abs().max() > 0.01


def test_generators_share_a_pipeline() -> None:
    pipe = build("sd1")
    first, second = FabricGenerator(pipe), FabricGenerator(pipe)
    steered = one(first, liked=(A,))
    assert torch.equal(one(second, liked=(A,)), steered)
    assert torch.equal(one(first, liked=(A,)), steered)


@pytest.mark.parametrize("change", ["enable_attention_slicing", "fuse_qkv_projections"])
def test_settings_of_the_pipeline_silence_nothing(change: str) -> None:
    pipe = build("sd1")
    fabric = FabricGenerator(pipe)
    steered = one(fabric, liked=(A,))
    getattr(pipe, change)()
    torch.testing.assert_close(one(fabric, liked=(A,)), steered, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_threads_take_turns() -> None:
    fabric = FabricGenerator(build("sd1"))
    requests = [Request(PROMPT, seed, PARAMS, (A,) if seed % 2 else (B,), (C,)) for seed in range(6)]
    expected = [fabric([request], STEPS).images for request in requests]
    found: dict[int, Tensor] = {}

    def work(places: list[int]) -> None:
        for place in places:
            found[place] = fabric([requests[place]], STEPS).images

    threads = [threading.Thread(target=work, args=([k, k + 2, k + 4],)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, image in enumerate(expected):
        torch.testing.assert_close(found[place], image, rtol=0, atol=1e-5)


def test_what_is_kept_knows_the_model() -> None:
    pipe = build("sd1")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe.unet.add_adapter(LoraConfig(r=4, target_modules=["to_k", "to_v"], init_lora_weights=False), "style")
    fabric = FabricGenerator(pipe)
    images = []
    for scale in (0.0, 1.0):
        pipe.unet.set_adapters(["style"], [scale])
        images.append(one(fabric, liked=(A,)))
        assert torch.equal(one(FabricGenerator(pipe), liked=(A,)), images[-1])
    assert (images[0] - images[1]).abs().max() > 0.05
    with torch.no_grad():
        pipe.text_encoder.get_input_embeddings().weight.mul_(1.5)
    changed = one(fabric, liked=(A,))
    assert torch.equal(one(FabricGenerator(pipe), liked=(A,)), changed)
    assert (changed - images[1]).abs().max() > 0.01


def test_the_dtype_may_change() -> None:
    pipe = build("sd1")
    fabric = FabricGenerator(pipe)
    one(fabric, liked=(A,))
    pipe.to(torch.float64)
    assert torch.equal(one(fabric, liked=(A,)), one(FabricGenerator(pipe), liked=(A,)))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["sd1", "sdxl"])
def test_a_pipeline_in_half_precision_stays_usable(layout: str) -> None:
    pipe = build(layout).to(torch.bfloat16)
    before = call(pipe, generator=None)
    fabric = FabricGenerator(pipe)
    assert torch.isfinite(one(fabric, liked=(A,), disliked=(B,))).all()
    assert pipe.vae.dtype == torch.bfloat16
    assert call(pipe, generator=None).shape == before.shape


def test_weights_that_are_cast_for_each_call() -> None:
    """Stored in half precision, computed with in single: the same as weights that half precision can hold."""
    pipe = build("sd1")
    pipe.unet.half().float()
    expected = one(FabricGenerator(pipe), liked=(A,), disliked=(B,))
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.float16, compute_dtype=torch.float32)
    torch.testing.assert_close(one(FabricGenerator(pipe), liked=(A,), disliked=(B,)), expected, rtol=0, atol=1e-6)


def test_sequential_offload() -> None:
    pipe = build("sd1")
    expected = one(FabricGenerator(pipe), liked=(A,), disliked=(B,))
    for part in (pipe.unet, pipe.text_encoder, pipe.vae):
        cpu_offload(part, torch.device("cpu"))
    torch.testing.assert_close(one(FabricGenerator(pipe), liked=(A,), disliked=(B,)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layout", ["sd1", "sdxl"])
def test_recording_ends_at_the_last_layer_that_matters_and_changes_nothing(layout: str) -> None:
    pipe = build(layout)
    calls: list[str] = []
    params = replace(PARAMS, outer=0.0)
    steered = one(FabricGenerator(pipe), liked=(A,), params=params)
    convolve = pipe.unet.conv_out.forward
    pipe.unet.conv_out.forward = lambda x: calls.append("to its end") or convolve(x)  # type: ignore[func-returns-value]
    try:  # something waits for a part of the U-Net, as offloading does
        whole = one(FabricGenerator(pipe), liked=(A,), params=params)
    finally:
        del pipe.unet.conv_out.forward
    assert torch.equal(steered, whole)
    assert len(calls) == 2 * STEPS
    pipe.unet.conv_out.register_forward_pre_hook(lambda module, args: calls.append("once"))
    one(FabricGenerator(pipe), liked=(A,), params=params)
    assert calls.count("once") == STEPS


def test_guidance_distilled_models_are_told_their_guidance() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = build("sd1")
        unet = copy.deepcopy(pipe.unet)
        unet.time_embedding.cond_proj = torch.nn.Linear(16, unet.time_embedding.linear_1.in_features, bias=False)
        unet.register_to_config(time_cond_proj_dim=16)
    pipe.unet = unet
    told = [one(FabricGenerator(pipe), params=FabricParams(guidance_scale=g)) for g in (2.0, 6.0)]
    assert (told[0] - told[1]).abs().max() > 1e-3
    scale = pipe.get_guidance_scale_embedding(torch.tensor([1.0]), embedding_dim=16)
    assert scale.shape == (1, 16)


def test_one_grey_level_of_one_pixel_does_not_show() -> None:
    """Law 6: what steers changes as little as it was changed."""
    fabric = FabricGenerator(build("sd1"))
    changed = np.asarray(A.picture).copy()
    changed[10, 10, 0] ^= 1
    twin = FeedbackImage(Image.fromarray(changed))
    difference = (one(fabric, liked=(A,)) - one(fabric, liked=(twin,))).abs() * 127.5
    assert 0 < difference.mean() < 0.5


def test_one_level_for_all_steps_is_one_pass() -> None:
    pipe = build("sd1")
    fabric = FabricGenerator(pipe, reference_level=0.3)
    steered = one(fabric, liked=(A, B))
    assert len(fabric.bank) == 2
    assert (steered - one(fabric)).abs().max() > 0.01
    with feedback(pipe, PARAMS, liked=(A, B), level=0.3):
        torch.testing.assert_close(call(pipe) * 2 - 1, steered, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="level: 2 is out of range; allowed: 0 to 1"), feedback(pipe, level=2):
        pass


def test_what_references_receive_is_told() -> None:
    fabric = FabricGenerator(build("sd1"))
    params = replace(PARAMS, weights={B.id: 0.2}, end=0.7)
    steered, plainly = fabric([Request(PROMPT, 3, params, (A, B), (C,)), Request(PROMPT, 4)], STEPS).attention
    assert plainly == {}
    assert {name: len(shares) for name, shares in steered.items()} == {A.id: STEPS, B.id: STEPS, C.id: STEPS}
    assert all(0 < b < a < 1 for a, b in zip(steered[A.id], steered[B.id], strict=True))


def test_other_pipelines_and_banks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pipeline: object is of no known family; allowed: Stable Diffusion 1.x, 2.x"):
        host_of(object())
    bank = ReferenceBank()
    owner = FabricGenerator(build("sd1"), bank)
    assert owner.bank is bank
    with pytest.raises(ValueError, match="bank: keeps"), feedback(build("sd1"), bank=bank):
        pass


@pytest.mark.slow
def test_compiled_blocks() -> None:
    pipe = build("sd1")
    expected = one(FabricGenerator(pipe), liked=(A,), disliked=(B,))
    pipe.unet.compile_repeated_blocks(fullgraph=True, backend="eager")
    torch.testing.assert_close(one(FabricGenerator(pipe), liked=(A,), disliked=(B,)), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_unet() -> None:
    pipe = build("sd1")
    expected = one(FabricGenerator(pipe), liked=(A,), disliked=(B,))
    pipe.unet = torch.compile(pipe.unet, fullgraph=True, backend="eager")
    torch.testing.assert_close(one(FabricGenerator(pipe), liked=(A,), disliked=(B,)), expected, rtol=0, atol=1e-4)
