"""Small models with random weights, saved in the layouts that the real ones are read from."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    Dinov2Config,
    Dinov2Model,
)

from experiments.embedded.models.preference import build_image_processor
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.training.trainer import seeded
from objectives.rahf.config import RahfConfig
from objectives.rahf.model import Rahf

WIDTH = 32


def save_clip_model(folder: Path) -> Path:
    """A CLIPModel with its processor, in transformers' layout, as PickScore's."""
    tokenizer = build_tokenizer(SCENES, 77)
    end = len(tokenizer) - 1
    text = {
        **{"vocab_size": end + 1, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "max_position_embeddings": 77},
        **{"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end},
    }
    vision = {
        **{"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"image_size": 28, "patch_size": 7},
    }
    with seeded(0):
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    model.save_pretrained(folder)
    pixels = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    CLIPProcessor(pixels, tokenizer).save_pretrained(folder)
    return folder


OPEN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 28, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 7},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 2},
}


def save_open_clip(folder: Path) -> Path:
    """An open_clip model with configuration, in the layout of `local-dir:`."""
    folder.mkdir(parents=True)
    with seeded(0):
        model = open_clip.CLIP(**OPEN_CLIP)
    whole = {"model_cfg": OPEN_CLIP, "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


def save_dino(folder: Path) -> Path:
    """A DINOv2 with its processor, in transformers' layout."""
    config = Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=7, mlp_ratio=2
    )
    with seeded(0):
        Dinov2Model(config).save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)
    return folder


def save_head(path: Path, width: int) -> Path:
    """A head of LAION's aesthetic predictor's form for embeddings of a width."""
    sizes = [width, 24, 12, 1]
    generator = torch.Generator().manual_seed(0)
    layers = {}
    for place, (into, out) in enumerate(itertools.pairwise(sizes)):
        layers[f"layers.{2 * place}.weight"] = torch.randn(out, into, generator=generator)
        layers[f"layers.{2 * place}.bias"] = torch.randn(out, generator=generator)
    torch.save(layers, path)
    return path


def save_rahf(folder: Path) -> Path:
    """A predictor of rich feedback, of prompts of up to 12 tokens, as `fabric-bo train-rahf` writes it."""
    tokenizer = build_tokenizer(SCENES, 12)
    with seeded(0):
        model = Rahf(RahfConfig(len(tokenizer), width=16, layers=1, heads=2, max_words=12, stem=(8, 8)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    build_image_processor().save_pretrained(folder)
    return folder
