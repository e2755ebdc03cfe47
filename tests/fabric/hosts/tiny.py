"""Tiny parts of pipelines with random weights: codecs, text encoders, tokenizers."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5Tokenizer

from experiments.embedded.models.generator import CONTEXT
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIDE = 32  # pixels of a square image
FACTOR = 2  # of the codec
CODEC: dict[str, Any] = {  # 4 x 16 x 16 latents of 32 x 32 pixels
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": SIDE,
}


def codec(**config: Any) -> AutoencoderKL:
    """Of `CODEC`, and whatever else is given."""
    return AutoencoderKL(**{**CODEC, "scaling_factor": 0.7, "shift_factor": 0.1, **config})


def t5(width: int) -> tuple[T5Tokenizer, T5EncoderModel]:
    """Reads letters."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in LETTERS)]
    config = T5Config(
        vocab_size=len(pieces),
        d_model=width,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5Tokenizer(vocab=pieces, extra_ids=0), T5EncoderModel(config)


def clip(width: int, kind: type[Any] = CLIPTextModelWithProjection) -> tuple[Any, Any]:
    """Reads the words of the embedded model; its projection is as wide as its states."""
    tokenizer = build_tokenizer(SCENES, CONTEXT)
    end = len(tokenizer) - 1
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
        projection_dim=width,
    )
    return tokenizer, kind(config)


def ready(pipe: Any) -> Any:
    """For inference; queries and keys are made larger, since random ones are nearly orthogonal."""
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    for name, parameter in pipe.transformer.named_parameters():
        if any(part in name for part in (".to_q.weight", ".to_k.weight", ".norm_q.weight", ".norm_k.weight")):
            parameter.mul_(3)
    pipe.set_progress_bar_config(disable=True)
    return pipe
