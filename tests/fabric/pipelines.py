"""Tiny random-weight pipelines in the layouts of Stable Diffusion 1.x, 2.x (v-prediction) and XL."""

from __future__ import annotations

import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from experiments.embedded.models.codec import build_codec
from experiments.embedded.models.generator import CONTEXT, build_text_encoder, build_unet
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.training.trainer import seeded
from fabric.encoding import Pipeline

LAYOUTS = ("sd1", "v", "sdxl")


def _scheduler(prediction_type: str) -> EulerAncestralDiscreteScheduler:
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        prediction_type=prediction_type,
    )


def _sd(prediction_type: str) -> StableDiffusionPipeline:
    tokenizer = build_tokenizer(SCENES, CONTEXT)
    return StableDiffusionPipeline(
        vae=build_codec((8, 8, 16)),
        text_encoder=build_text_encoder(32, len(tokenizer)),
        tokenizer=tokenizer,
        unet=build_unet((32, 32), 32),
        scheduler=_scheduler(prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl() -> StableDiffusionXLPipeline:
    tokenizer = build_tokenizer(SCENES, CONTEXT)
    end = len(tokenizer) - 1
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
        projection_dim=24,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 2),
        use_linear_projection=True,
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24 + 6 * 8,
        norm_num_groups=16,
    )
    return StableDiffusionXLPipeline(
        vae=build_codec((8, 8, 16)),
        text_encoder=CLIPTextModel(text),
        text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=tokenizer,
        tokenizer_2=build_tokenizer(SCENES, CONTEXT),
        unet=unet,
        scheduler=_scheduler("epsilon"),
        add_watermarker=False,
    )


def build(layout: str) -> Pipeline:
    """A pipeline with random weights; `layout` is one of `LAYOUTS`."""
    with seeded(0):
        pipe: Pipeline = _sdxl() if layout == "sdxl" else _sd("v_prediction" if layout == "v" else "epsilon")
    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    for part in parts:
        part.eval()
    # Random keys and queries are nearly orthogonal; larger ones make attention to references matter.
    with torch.no_grad():
        for name, parameter in pipe.unet.named_parameters():
            if ".attn1.to_" in name and name.endswith("weight"):
                parameter.mul_(3)
    pipe.set_progress_bar_config(disable=True)
    return pipe
