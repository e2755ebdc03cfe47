"""`fabric.feedback` on pipelines of real size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DiffusionPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLPipeline,
)
from torch import nn

from fabric.images import FeedbackImage, read_picture
from fabric.params import FabricParams
from fabric.steering import feedback
from tests.real import hub

pytestmark = pytest.mark.real
Draw = Callable[[], np.ndarray]


def _cached(home: Path, **parts: Any) -> dict[str, Any]:
    """How pipelines are read out of the cache, without the safety checker that is not there."""
    return {"cache_dir": home / "hub", "local_files_only": True, "safety_checker": None, **parts}


def _drawing(pipe: DiffusionPipeline, **options: Any) -> Draw:
    """Calls a pipeline with the same noise each time."""
    pipe.set_progress_bar_config(disable=True)

    def draw() -> np.ndarray:
        generator = torch.Generator().manual_seed(0)
        made = pipe("a cat in a hat", guidance_scale=4, generator=generator, output_type="np", **options)
        image: np.ndarray = made.images[0]
        assert np.isfinite(image).all()
        assert image.std() > 0.05
        return image

    return draw


def _check(pipe: DiffusionPipeline, draw: Draw, pictures: list[Path]) -> None:
    """Weight zero is absence, another weight is not, and the pipeline is left as it was."""
    liked, disliked = ([FeedbackImage(read_picture(path))] for path in pictures)
    plain = draw()
    with feedback(pipe, FabricParams(strength=0), liked=liked, disliked=disliked):
        assert np.array_equal(draw(), plain)
    with feedback(pipe, FabricParams(strength=1.5), liked=liked, disliked=disliked) as steering:
        assert np.abs(draw() - plain).mean() > 0.002
        assert any(shares for shares in steering.received())
    assert np.array_equal(draw(), plain)


def test_image_to_image(home: Path, sd15: str, pictures: list[Path]) -> None:
    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(sd15, **_cached(home))
    start = read_picture(pictures[1]).resize((128, 128))
    _check(pipe, _drawing(pipe, image=start, strength=0.7, num_inference_steps=3), pictures)


def test_controlnet(home: Path, sd15: str, pictures: list[Path]) -> None:
    hub.save_controlnet(home)
    control = ControlNetModel.from_pretrained(hub.CONTROL_ID, cache_dir=home / "hub", local_files_only=True)
    pipe = StableDiffusionControlNetPipeline.from_pretrained(sd15, **_cached(home, controlnet=control))
    edges = read_picture(pictures[0]).resize((128, 128))
    _check(pipe, _drawing(pipe, image=edges, num_inference_steps=2), pictures)


def test_sdxl(home: Path, pictures: list[Path]) -> None:
    hub.save_sdxl(home)
    dtypes = {"unet": torch.float16, "default": torch.float32}
    pipe = StableDiffusionXLPipeline.from_pretrained(
        hub.SDXL_ID, cache_dir=home / "hub", local_files_only=True, dtype=dtypes, add_watermarker=False
    )
    # Kept in half precision, as 10 GB would be too much; computed in single, which a CPU does thirty times as fast.
    for part in pipe.unet.modules():
        if isinstance(part, nn.GroupNorm | nn.LayerNorm):
            part.float()
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.float16, compute_dtype=torch.float32)
    _check(pipe, _drawing(pipe, height=128, width=128, num_inference_steps=1), pictures)
