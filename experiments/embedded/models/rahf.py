"""The predictor of rich feedback on scenes, trained on pictures of which all faults are known."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import Tensor
from tqdm import tqdm
from transformers import CLIPTokenizer

from experiments.embedded.cache import read_cache, write_cache
from experiments.embedded.models.codec import reconstructions
from experiments.embedded.models.generator import save_half
from experiments.embedded.models.preference import build_image_processor
from experiments.embedded.models.regeneration import Regeneration
from experiments.embedded.models.rich_labels import RichTruth, draw_truth
from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import to_signed
from experiments.embedded.training.reading import Reader
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.rich_feedback.pool import RichPool, filled, word_marks
from experiments.rich_feedback.training import Helper, RahfParts, train
from experiments.training.trainer import seeded, training_device
from fabric.seeding import generator_for
from objectives.rahf.config import RahfConfig
from objectives.rahf.model import Rahf
from objectives.rahf.predictor import encode_words

CONTEXT = 40  # tokens of a prompt
_ATTRIBUTES = "attributes"
_CHUNK = 64
_RECONSTRUCTED = 0.3  # share of training pictures that went through the codec, as generated ones do


def to_pool(truth: RichTruth, tokenizer: CLIPTokenizer) -> RichPool:
    """A truth as tensors."""
    words = encode_words(tokenizer, truth.prompts, CONTEXT)
    return RichPool(
        (truth.pictures * 255).round().byte(),
        *filled(words, CONTEXT, int(tokenizer.pad_token_id)),
        truth.scores,
        (255 * torch.stack([truth.artifacts, truth.misalignment], dim=1)).byte(),
        *word_marks(words, truth.misaligned, CONTEXT),
    )


def make_rich_pool(path: Path, count: int, seed: int, pipeline: StableDiffusionPipeline) -> tuple[RichPool, Tensor]:
    """Draws pictures with their truth, or reads them where `path` holds them already.

    Args:
        path: safetensors file; replaced where it holds others than those asked for.
        count: of pictures, a multiple of 64.
        seed: of them.
        pipeline: makes faults of the generator's own kind; some pictures go through its codec.

    Returns:
        The pictures, and what they show, `count` x A.
    """
    key = f"{count} pictures, seed {seed}"
    stored = read_cache(path, key)
    if stored is None:
        tokenizer, regeneration = build_tokenizer(SCENES, CONTEXT), Regeneration(pipeline)
        parts, attributes = list[RichPool](), list[Tensor]()
        for chunk in tqdm(range(0, count, _CHUNK), desc="rich feedback", mininterval=2):
            generator = generator_for(seed, "rich pool", chunk)
            truth = draw_truth(min(_CHUNK, count - chunk), generator, regeneration)
            parts.append(to_pool(_through_codec(truth, pipeline.vae, generator), tokenizer))
            attributes.append(truth.attributes)
        names = [field.name for field in fields(RichPool)]
        stored = {name: torch.cat([getattr(part, name) for part in parts]).contiguous() for name in names}
        stored[_ATTRIBUTES] = torch.cat(attributes)
        write_cache(path, key, stored)
    shown = stored.pop(_ATTRIBUTES)
    return RichPool(**stored), shown


def _through_codec(truth: RichTruth, codec: AutoencoderKL, generator: torch.Generator) -> RichTruth:
    """The same, some of its pictures as the codec gives them back."""
    rows = torch.rand(len(truth.pictures), generator=generator) < _RECONSTRUCTED
    pictures = truth.pictures.clone()
    if rows.any():
        pictures[rows] = (reconstructions(codec, to_signed(pictures[rows])) / 2 + 0.5).clamp(0, 1)
    return replace(truth, pictures=pictures)


def build_rahf(seed: int, task_tokens: bool = True) -> RahfParts:
    """A model with random weights, of 1.5 million parameters; see `RahfConfig`."""
    tokenizer = build_tokenizer(SCENES, CONTEXT)
    with seeded(seed):
        model = Rahf(RahfConfig(len(tokenizer), max_words=CONTEXT, task_tokens=task_tokens))
    return RahfParts(model, build_image_processor(), tokenizer)


def train_rahf(
    config: Config, pool: RichPool, attributes: Tensor, *, task_tokens: bool = True
) -> tuple[RahfParts, float]:
    """Trains on the exact truth. A reader of attributes helps along, or image tokens stay blind to much that words say.

    Args:
        config: schedule.
        pool: of training pictures.
        attributes: what they show, N x A.
        task_tokens: see `RahfConfig`.

    Returns:
        The model in eval mode, and the seconds it took.
    """
    parts, device = build_rahf(config.seed, task_tokens), training_device()
    sizes = parts.model.config
    features = sizes.width * (sizes.image_size // 2 ** len(sizes.stem)) ** 2
    with seeded(config.seed):
        reader = Reader(features, SCENES.counts)
    helper = Helper(reader, lambda said, rows: reader.loss(said.grid.flatten(1), attributes[rows].to(device)))
    return parts, train(parts, pool, config.rahf, config.workdir / "rahf", config.seed, helper)


def save_rahf(parts: RahfParts, folder: Path) -> None:
    """Writes the model in half precision, with image processor and tokenizer, as `RahfPredictor` reads it."""
    parts.save(folder)
    save_half(parts.model, folder)
