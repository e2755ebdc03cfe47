"""The generator: architecture of U-Net and text encoder, the pipeline that they make with the codec, and its files."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, PreTrainedModel

from experiments.embedded.training.phases import NOISE

CONTEXT = 32


def build_unet(channels: tuple[int, ...], text_width: int) -> UNet2DConditionModel:
    """A U-Net with self- and cross-attention at every resolution, in the layout of Stable Diffusion 1.x."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        cross_attention_dim=text_width,
        attention_head_dim=2,  # diffusers reads this as the number of heads
        norm_num_groups=16,
    )


def build_text_encoder(width: int, vocabulary: int) -> CLIPTextModel:
    """A three-layer CLIP text transformer; the two special tokens have the highest ids."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def assemble(
    codec: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer
) -> StableDiffusionPipeline:
    """The pipeline of the trained parts, with the Euler ancestral scheduler of the FABRIC paper."""
    return StableDiffusionPipeline(
        vae=codec,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=EulerAncestralDiscreteScheduler(**NOISE, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_generator(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Writes the pipeline in half precision, as `StableDiffusionPipeline.from_pretrained` reads it."""
    pipeline.unet.half()
    pipeline.vae.half()
    pipeline.save_pretrained(folder, safe_serialization=True)
    save_half(pipeline.text_encoder, folder / "text_encoder")
    pipeline.to(torch.float32)


def save_half(model: PreTrainedModel, folder: Path) -> None:
    """Writes a transformers model with weights in half precision and a configuration that loads it in single.

    Unlike diffusers, transformers computes in the precision that the configuration names, and a CPU wants float32.
    """
    model.float()
    model.save_pretrained(folder, state_dict={k: v.half() for k, v in model.state_dict().items()})
