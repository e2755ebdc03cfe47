"""A tiny random-weight Stable Diffusion pipeline."""

from __future__ import annotations

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline

from experiments.embedded.codec import build_codec
from experiments.embedded.generator import CONTEXT, build_text_encoder, build_unet
from experiments.embedded.tokenizer import build_tokenizer
from experiments.embedded.training import seeded


@pytest.fixture
def pipeline() -> StableDiffusionPipeline:
    tokenizer = build_tokenizer(CONTEXT)
    with seeded(0):
        pipe = StableDiffusionPipeline(
            vae=build_codec((8, 8, 16)),
            text_encoder=build_text_encoder(32, len(tokenizer)),
            tokenizer=tokenizer,
            unet=build_unet((32, 32), 32),
            scheduler=EulerAncestralDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    for part in (pipe.vae, pipe.unet, pipe.text_encoder):
        part.eval()
    # Random keys and queries are nearly orthogonal; larger ones make attention to references matter.
    with torch.no_grad():
        for name, parameter in pipe.unet.named_parameters():
            if ".attn1.to_" in name and name.endswith("weight"):
                parameter.mul_(3)
    pipe.set_progress_bar_config(disable=True)
    return pipe
