"""Transformers of well-known models, by their shapes: to count without anybody's weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch

from fabric.hosts import host_of
from fabric.hosts.base import Host

_META = torch.device("meta")


@dataclass(frozen=True)
class TransformerLayout:
    """The shape of a model.

    Attributes:
        name: that people know it by.
        pipeline: class of diffusers, by its name, as the next.
        transformer: likewise.
        config: of the transformer, as the checkpoints have it.
        told: what a call is told of one prompt: shapes by the name of the argument.
        codec: makes the codec.
        scheduler: makes the scheduler.
        places: device on which positions are worked out: where the model has numbers, or does without.
    """

    name: str
    pipeline: str
    transformer: str
    config: Mapping[str, Any]
    told: Mapping[str, tuple[int, ...]]
    codec: Callable[[], Any]
    scheduler: Callable[[], Any] = field(default=diffusers.FlowMatchEulerDiscreteScheduler)
    places: str = "cpu"

    def host(self) -> Host:
        """The family's sight of it, in half precision on the meta device: shapes without numbers."""
        kind = getattr(diffusers, self.pipeline)
        with _META:
            transformer = getattr(diffusers, self.transformer)(**self.config).eval().bfloat16()
            parts = {"transformer": transformer, "vae": self.codec()}
        others = dict.fromkeys(kind._get_signature_keys(kind)[0])
        return host_of(kind(**{**others, **parts, "scheduler": self.scheduler()}))


def _codec(channels: int) -> Callable[[], Any]:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    widths = {"block_out_channels": (128, 256, 512, 512), "latent_channels": channels}
    return lambda: diffusers.AutoencoderKL(**blocks, **widths)


_STATES = "encoder_hidden_states"
TRANSFORMERS = {
    "pixart": TransformerLayout(
        "PixArt-Sigma",
        "PixArtSigmaPipeline",
        "PixArtTransformer2DModel",
        {"sample_size": 128, "cross_attention_dim": 1152, "caption_channels": 4096, "use_additional_conditions": False},
        {_STATES: (300, 4096), "encoder_attention_mask": (300,)},
        _codec(4),
        diffusers.DPMSolverMultistepScheduler,
    ),
    "sd35-medium": TransformerLayout(
        "SD 3.5 Medium",
        "StableDiffusion3Pipeline",
        "SD3Transformer2DModel",
        {
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "in_channels": 16,
            "out_channels": 16,
            "joint_attention_dim": 4096,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 384,
            "qk_norm": "rms_norm",
            "dual_attention_layers": tuple(range(13)),
        },
        {_STATES: (333, 4096), "pooled_projections": (2048,)},
        _codec(16),
    ),
    "sd35-large": TransformerLayout(
        "SD 3.5 Large",
        "StableDiffusion3Pipeline",
        "SD3Transformer2DModel",
        {
            "num_layers": 38,
            "num_attention_heads": 38,
            "caption_projection_dim": 2432,
            "in_channels": 16,
            "out_channels": 16,
            "joint_attention_dim": 4096,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 192,
            "qk_norm": "rms_norm",
        },
        {_STATES: (333, 4096), "pooled_projections": (2048,)},
        _codec(16),
    ),
    "flux": TransformerLayout(
        "FLUX.1",
        "FluxPipeline",
        "FluxTransformer2DModel",
        {"guidance_embeds": True},
        {_STATES: (512, 4096), "pooled_projections": (768,)},
        _codec(16),
    ),
    "qwen-image": TransformerLayout(
        "Qwen-Image",
        "QwenImagePipeline",
        "QwenImageTransformer2DModel",
        {},
        {_STATES: (100, 3584)},
        diffusers.AutoencoderKLQwenImage,
        places="meta",
    ),
    "sana": TransformerLayout(
        "Sana 1.6B",
        "SanaPipeline",
        "SanaTransformer2DModel",
        {},
        {_STATES: (300, 2304), "encoder_attention_mask": (300,)},
        diffusers.AutoencoderDC,
    ),
}
