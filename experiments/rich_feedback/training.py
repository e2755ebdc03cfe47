"""Trains a predictor of rich feedback on labelled pictures (Liang et al. 2024, arXiv 2312.10240, section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    ViTImageProcessor,
)

from experiments.rich_feedback.pool import RichPool
from experiments.training.trainer import Schedule, Trainer, seeded, training_device
from fabric.seeding import generator_for
from objectives.checkpoints import reading
from objectives.rahf.config import RahfConfig
from objectives.rahf.model import MAPS, Rahf, RahfOutput, rahf_loss
from objectives.rahf.predictor import MISALIGNED
from objectives.richhf import SCORES
from objectives.richhf_metrics import map_metrics, score_metrics, word_metrics

_ENCODER = "a hub id or a folder in transformers' layout"
_MEANWHILE = "--start, a trained model to go on from"
_BATCH = 64


@dataclass(frozen=True)
class RahfParts:
    """A model with what brings pictures and prompts to it.

    Attributes:
        model: it.
        processor: of pictures.
        tokenizer: of prompts.
    """

    model: Rahf
    processor: Any
    tokenizer: Any

    @property
    def side(self) -> int:
        """Of the square that pictures are scaled to, in pixels."""
        return int(self.model.config.image_size)

    @property
    def length(self) -> int:
        """Tokens of the longest prompt that is read."""
        return int(self.model.config.max_words)

    def save(self, folder: Path) -> None:
        """Writes the parts as `RahfPredictor` reads them."""
        for part in (self.model, self.processor, self.tokenizer):
            part.save_pretrained(folder)


def known_parts(checkpoint: str) -> RahfParts:
    """A trained model to go on from.

    Args:
        checkpoint: folder or hub id of one.

    Raises:
        MissingWeightsError: there is none.
    """
    with reading(checkpoint, "a hub id or a folder of a RAHF model"):
        model, processor = Rahf.from_pretrained(checkpoint), AutoImageProcessor.from_pretrained(checkpoint)
        return RahfParts(model, processor, AutoTokenizer.from_pretrained(checkpoint, config=model.config))


def new_parts(vision: str, text: str, length: int, seed: int) -> RahfParts:
    """A model of pretrained encoders for pictures and prompts, the rest with random weights.

    Args:
        vision: hub id or folder of a vision transformer, such as "google/vit-base-patch16-384".
        text: likewise of a text encoder, such as "google-t5/t5-base".
        length: tokens of the longest prompt that is read.
        seed: of the random weights.

    Raises:
        MissingWeightsError: an encoder is not at hand.
    """
    with reading(vision, _ENCODER, _MEANWHILE):
        of_pictures, known = AutoModel.from_pretrained(vision), AutoImageProcessor.from_pretrained(vision)
    with reading(text, _ENCODER, _MEANWHILE):
        of_prompts, tokenizer = AutoModelForTextEncoding.from_pretrained(text), AutoTokenizer.from_pretrained(text)
    side = int(of_pictures.config.image_size)
    config = RahfConfig(
        max_words=length,
        image_size=side,
        vision_config=of_pictures.config.to_dict(),
        text_config=AutoConfig.from_pretrained(text).to_dict(),
    )
    with seeded(seed):
        model = Rahf(config)
    model.start_from(of_pictures, of_prompts)
    # Without a crop, so that maps lie where they belong.
    processor = ViTImageProcessor(
        size={"height": side, "width": side}, image_mean=known.image_mean, image_std=known.image_std
    )
    return RahfParts(model, processor, tokenizer)


@dataclass(frozen=True)
class Helper:
    """A second task that helps training along and is then thrown away.

    Attributes:
        module: that learns it.
        loss: from what the model says of some pictures and their rows in the pool.
    """

    module: nn.Module
    loss: Callable[[RahfOutput, Tensor], Tensor]


def train(
    parts: RahfParts, pool: RichPool, schedule: Schedule, folder: Path, seed: int, helper: Helper | None = None
) -> float:
    """Trains the model in place; it ends in eval mode.

    Args:
        parts: model, and how its pixels are scaled.
        pool: of labelled pictures.
        schedule: how long and how fast.
        folder: of the checkpoint that an interrupted training goes on from.
        seed: of the batches.
        helper: a second task; none by default.

    Returns:
        Seconds it took.
    """
    device = training_device()
    model = parts.model.to(device)
    trained = model if helper is None else nn.ModuleList([model, helper.module.to(device)])

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(seed, "rahf", step)
        rows = torch.randint(len(pool), (schedule.batch,), generator=generator)
        output, longest = _predict(parts, pool, rows, device)
        words, known = (part[rows, :longest].to(device) for part in (pool.words, pool.known))
        maps = pool.maps[rows].to(device).float() / 255
        value, figures = rahf_loss(output, pool.scores[rows].to(device), maps, words, known)
        if helper is not None:
            helped = helper.loss(output, rows)
            value, figures = value + helped, {**figures, "helper": float(helped.detach())}
        return value, figures

    seconds = Trainer(trained, schedule, folder).fit(loss)
    model.eval()
    return seconds


def _predict(parts: RahfParts, pool: RichPool, rows: Tensor, device: torch.device) -> tuple[RahfOutput, int]:
    """What a model says of pictures of a pool, and the tokens of their longest prompt."""
    longest = int(pool.mask[rows].sum(dim=1).max())
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (parts.processor.image_mean, parts.processor.image_std)
    )
    pixels = (pool.pixels[rows].float() / 255 - mean) / std
    inputs = (pixels, pool.ids[rows, :longest], pool.mask[rows, :longest])
    return parts.model(*(part.to(device) for part in inputs)), longest


@torch.no_grad()
def measure(parts: RahfParts, pool: RichPool) -> dict[str, float]:
    """How well a model predicts labels: the paper's metrics, by name.

    Args:
        parts: of the model.
        pool: pictures that it was not trained on, two or more.

    Returns:
        Those that these pictures can tell.
    """
    device = next(parts.model.parameters()).device
    scores, maps, words = [], [], []
    for rows in torch.arange(len(pool)).split(_BATCH):
        output, longest = _predict(parts, pool, rows, device)
        scores.append(output.scores.float().sigmoid().cpu())
        maps.append(output.maps.float().sigmoid().cpu())
        misaligned = torch.zeros(len(rows), parts.length)
        misaligned[:, :longest] = output.words.float().sigmoid().cpu()
        words.append(misaligned > MISALIGNED)
    predicted, true = torch.cat(scores), pool.scores
    found = {
        f"PLCC of {name}": score_metrics(predicted[:, place].tolist(), true[:, place].tolist()).plcc
        for place, name in enumerate(SCORES)
    }
    drawn, marked = torch.cat(maps).double().numpy(), (pool.maps / 255).double().numpy()
    for place, kind in enumerate(MAPS):
        if marked[:, place].any():
            found[f"CC of the {kind} map"] = map_metrics(drawn[:, place], marked[:, place]).cc
    known = pool.known > 0
    said, meant = torch.cat(words), pool.words > 0
    if known.any():
        found["F1 of misaligned words"] = word_metrics([said[known].tolist()], [meant[known].tolist()]).f1
    return {name: value for name, value in found.items() if math.isfinite(value)}
