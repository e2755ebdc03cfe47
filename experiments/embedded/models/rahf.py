"""The predictor of rich feedback on scenes, trained on pictures of which all faults are known."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
import torch.nn.functional as F
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
from experiments.embedded.training.trainer import Trainer, seeded, training_device
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from fabric.seeding import generator_for
from objectives.rahf.config import RahfConfig
from objectives.rahf.model import Rahf, rahf_loss
from objectives.rahf.predictor import encode_words

CONTEXT = 40  # tokens of a prompt
_CHUNK = 64
_RECONSTRUCTED = 0.3  # share of training pictures that went through the codec, as generated ones do


@dataclass(frozen=True)
class RichPool:
    """Pictures with their truth, as tensors.

    Attributes:
        pixels: N x 3 x S x S bytes.
        ids: N x L tokens.
        mask: N x L.
        scores: N x 4.
        maps: N x 2 x S x S bytes, 1 where something is marked.
        words: N x L, 1 for the first token of a misaligned word.
        known: N x L, 1 for the first token of any word.
    """

    pixels: Tensor
    ids: Tensor
    mask: Tensor
    scores: Tensor
    maps: Tensor
    words: Tensor
    known: Tensor


def to_pool(truth: RichTruth, tokenizer: CLIPTokenizer) -> RichPool:
    """A truth as tensors."""
    words = encode_words(tokenizer, truth.prompts, CONTEXT)
    marks, known = torch.zeros(len(truth.prompts), CONTEXT), torch.zeros(len(truth.prompts), CONTEXT)
    for row, (places, wrong) in enumerate(zip(words.first, truth.misaligned, strict=True)):
        for place, missed in zip(places, wrong, strict=True):
            if place >= 0:
                known[row, place], marks[row, place] = 1.0, float(missed)
    missing = CONTEXT - words.ids.shape[1]
    return RichPool(
        (truth.pictures * 255).round().byte(),
        F.pad(words.ids, (0, missing), value=int(tokenizer.eos_token_id)),
        F.pad(words.mask, (0, missing)),
        truth.scores,
        torch.stack([truth.artifacts, truth.misalignment], dim=1).byte(),
        marks,
        known,
    )


def make_rich_pool(path: Path, count: int, seed: int, pipeline: StableDiffusionPipeline) -> RichPool:
    """Draws pictures with their truth, or reads them where `path` holds them already.

    Args:
        path: safetensors file; replaced where it holds others than those asked for.
        count: of pictures, a multiple of 64.
        seed: of them.
        pipeline: makes faults of the generator's own kind; some pictures go through its codec.
    """
    key = f"{count} pictures, seed {seed}"
    stored = read_cache(path, key)
    if stored is None:
        tokenizer, regeneration, parts = build_tokenizer(SCENES, CONTEXT), Regeneration(pipeline), list[RichPool]()
        for chunk in tqdm(range(0, count, _CHUNK), desc="rich feedback", mininterval=2):
            generator = generator_for(seed, "rich pool", chunk)
            truth = draw_truth(min(_CHUNK, count - chunk), generator, regeneration)
            parts.append(to_pool(_through_codec(truth, pipeline.vae, generator), tokenizer))
        names = [field.name for field in fields(RichPool)]
        stored = {name: torch.cat([getattr(part, name) for part in parts]).contiguous() for name in names}
        write_cache(path, key, stored)
    return RichPool(**stored)


def _through_codec(truth: RichTruth, codec: AutoencoderKL, generator: torch.Generator) -> RichTruth:
    """The same, some of its pictures as the codec gives them back."""
    rows = torch.rand(len(truth.pictures), generator=generator) < _RECONSTRUCTED
    pictures = truth.pictures.clone()
    if rows.any():
        pictures[rows] = (reconstructions(codec, to_signed(pictures[rows])) / 2 + 0.5).clamp(0, 1)
    return replace(truth, pictures=pictures)


def build_rahf(vocabulary: int) -> Rahf:
    """A model with random weights, of 1.4 million parameters."""
    return Rahf(RahfConfig(vocabulary, max_words=CONTEXT))


def train_rahf(config: Config, pool: RichPool) -> tuple[Rahf, float]:
    """Trains on the exact truth.

    Args:
        config: schedule.
        pool: of training pictures.

    Returns:
        The model in eval mode and the seconds it took.
    """
    device, tokenizer = training_device(), build_tokenizer(SCENES, CONTEXT)
    with seeded(config.seed):
        model = build_rahf(len(tokenizer)).to(device)
    trainer = Trainer(model, config.rahf, config.workdir / "rahf")

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "rahf", step)
        rows = torch.randint(len(pool.pixels), (config.rahf.batch,), generator=generator)
        longest = int(pool.mask[rows].sum(dim=1).max())
        output = model(
            to_signed(pool.pixels[rows]).to(device),
            pool.ids[rows, :longest].to(device),
            pool.mask[rows, :longest].to(device),
        )
        words, known = (part[rows, :longest].to(device) for part in (pool.words, pool.known))
        return rahf_loss(output, pool.scores[rows].to(device), pool.maps[rows].float().to(device), words, known)

    seconds = trainer.fit(loss)
    return model.eval(), seconds


def save_rahf(model: Rahf, folder: Path) -> None:
    """Writes the model in half precision, with image processor and tokenizer, as `RahfPredictor` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_half(model, folder)
    build_tokenizer(SCENES, CONTEXT).save_pretrained(folder)
    build_image_processor().save_pretrained(folder)
