"""The CLIP judge: a small open_clip model that knows captions of full detail and tells attributes from jitter."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import to_signed
from experiments.embedded.training.reading import Reader
from experiments.embedded.world.degrade import degrade
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.embedded.world.world import Scenes, concatenate
from experiments.training.trainer import Trainer, seeded, training_device
from fabric.seeding import generator_for

_CONTEXT = 48
_EMBEDDING = 64
_MILD = 0.3
_SAID = 0.75  # chance that a caption states an attribute
# CLIP's usual ceiling of 100 squeezes all that is alike into cosines near 1; 10 leaves room to see differences.
_MAX_LOG_SCALE = 2.3


def clip_config(width: int, vocabulary: int) -> dict[str, object]:
    """open_clip's model configuration: a residual network on 64 x 64 pixels, a two-layer text transformer."""
    return {
        "embed_dim": _EMBEDDING,
        "vision_cfg": {
            "image_size": 64,
            "layers": [2, 2, 2, 2],
            "width": width,
            "head_width": 64,
            "patch_size": None,
        },
        "text_cfg": {
            "context_length": _CONTEXT,
            "vocab_size": vocabulary,
            "hf_tokenizer_name": "embedded",
            "width": 96,
            "heads": 4,
            "layers": 2,
        },
    }


def _other_attribute(scenes: Scenes, generator: torch.Generator) -> tuple[Scenes, Tensor]:
    """Scenes with one random attribute changed and fresh jitter, and the column changed in each."""
    world = scenes.world
    shares = torch.tensor([world.faint.get(name, 1.0) for name in world.names])
    columns = torch.multinomial(shares, len(scenes), replacement=True, generator=generator)
    changed = scenes.rejittered(generator)
    for name, column in world.column.items():
        rows = columns == column
        changed.attributes[rows] = scenes[rows].changed(name, generator).attributes
    return changed, columns


def contrast(logits: Tensor, hard: Tensor, usable: Tensor) -> Tensor:
    """InfoNCE with the whole batch and one hard negative of its own for each anchor.

    Args:
        logits: N x N similarities times scale, anchor by positive; the diagonal is right.
        hard: N similarities times scale of each anchor to its hard negative.
        usable: N bool, False where the hard negative would be right as well.

    Returns:
        Mean cross-entropy of both directions.
    """
    target = torch.arange(len(logits), device=logits.device)
    extra = hard.masked_fill(~usable, -torch.inf)[:, None]
    forward = F.cross_entropy(torch.cat([logits, extra], dim=1), target)
    return 0.5 * (forward + F.cross_entropy(logits.T, target))


def train_clip(config: Config) -> tuple[open_clip.CLIP, float]:
    """Trains the CLIP judge on scenes rendered on the fly.

    Every step sees N scenes twice with different jitter, and once with a single attribute changed, which is the
    hard negative of picture and caption alike. A linear reader of attributes, thrown away afterwards, shows the
    network early what there is to be seen.

    Args:
        config: sizes and schedule; `batch` pictures a step.

    Returns:
        The model in eval mode and the seconds it took.
    """
    world = config.world
    device, tokenizer = training_device(), build_tokenizer(world, _CONTEXT)
    with seeded(config.seed):
        model = open_clip.CLIP(**clip_config(config.sizes.clip, len(tokenizer)))
        model.logit_scale.data.fill_(2.0)
        reader = Reader(_EMBEDDING, world.counts)
        both = nn.ModuleDict({"judge": model, "reader": reader}).to(device)
    trainer = Trainer(both, config.clip, config.workdir / "clip")
    count = config.clip.batch

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "clip", step)
        scenes = world.sample(count, generator)
        changed, columns = _other_attribute(scenes, generator)
        everything = concatenate(scenes, scenes.rejittered(generator), changed)
        said = world.draw_said(count, generator, dict.fromkeys(world.names, _SAID))
        texts = world.captions_stating(scenes, said, generator)
        level = _MILD * torch.rand(len(everything), generator=generator)
        images = degrade(to_signed(world.render(everything)), level, generator).to(device)
        tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids.to(device)

        embedded = model.encode_image(images).float()
        first, second, other = F.normalize(embedded, dim=-1).chunk(3)
        words = model.encode_text(tokens, normalize=True).float()
        scale = model.logit_scale.clamp(max=_MAX_LOG_SCALE).exp()
        everywhere = torch.ones(count, dtype=torch.bool, device=device)
        stated = said[torch.arange(count), columns].to(device)
        pictures = scale * first @ second.T
        text = scale * words @ first.T
        value = contrast(pictures, scale * (first * other).sum(1), everywhere)
        value = value + contrast(text, scale * (words * other).sum(1), stated)
        reading = reader.loss(embedded, everything.attributes.to(device))
        figures = {
            "reading": float(reading.detach()),
            "gap": float((first * (second - other)).sum(1).mean().detach()),
            "right": float((text.argmax(1).cpu() == torch.arange(count)).float().mean()),
        }
        return value + reading, figures

    seconds = trainer.fit(loss)
    model.logit_scale.data.clamp_(max=_MAX_LOG_SCALE)
    return model, seconds


def save_clip(model: open_clip.CLIP, config: Config, folder: Path) -> None:
    """Writes what `open_clip.create_model_from_pretrained("local-dir:FOLDER")` reads, in half precision."""
    tokenizer = build_tokenizer(config.world, _CONTEXT)
    tokenizer.save_pretrained(folder)
    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(half, folder / "open_clip_model.safetensors")
    content = {
        "model_cfg": clip_config(config.sizes.clip, len(tokenizer)),
        "preprocess_cfg": {
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n")
