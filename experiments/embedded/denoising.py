"""Trains the generator: U-Net and text encoder together remove noise from the codec's latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.training_utils import compute_snr
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextModel

from experiments.embedded.captions import captions_stating, draw_said
from experiments.embedded.config import Config
from experiments.embedded.generator import CONTEXT, NOISE, build_text_encoder, build_unet
from experiments.embedded.pool import Pool, read_cache, to_signed, write_cache
from experiments.embedded.reading import Reader
from experiments.embedded.render import render
from experiments.embedded.scenes import Scenes, concatenate
from experiments.embedded.siblings import install
from experiments.embedded.tokenizer import build_tokenizer
from experiments.embedded.training import Trainer, pick_device, seeded
from fabric.seeding import generator_for

_NO_PROMPT = 0.12  # share of training captions left empty, for classifier-free guidance
_SNR_CAP = 5.0
_NOISE_FLOOR = 0.2
_READING = 0.03


@torch.no_grad()
def encode_pool(codec: AutoencoderKL, pool: Pool, path: Path, batch: int = 128) -> Tensor:
    """Scaled latents of a pool, N x 4 x 16 x 16 in half precision on the CPU; kept in `path` for a resumed run."""
    key = f"{len(pool)} scenes, scaling factor {codec.config.scaling_factor!r}"  # the factor tells codecs apart
    stored = read_cache(path, key)
    if stored is not None:
        return stored["latents"]
    device, latents = codec.device, []
    for start in tqdm(range(0, len(pool), batch), desc="latents", mininterval=2):
        images = to_signed(pool.pixels[start : start + batch]).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            mean = codec.encode(images).latent_dist.mean
        latents.append((mean.float() * codec.config.scaling_factor).half().cpu())
    encoded = torch.cat(latents).contiguous()
    write_cache(path, key, {"latents": encoded})
    return encoded


def velocity_weight(snr: Tensor) -> Tensor:
    """Weight of the squared error of the predicted velocity: min(SNR + 0.2, 5) / (SNR + 1).

    An error of the velocity (Salimans and Ho 2022, arXiv 2202.00512) counts SNR + 1 times that of the picture. So
    this is min(SNR, 5) for the picture, as in min-SNR (Hang et al. 2023, arXiv 2303.09556), with a floor: near pure
    noise, where min-SNR weighs nothing, a prompt and references decide where things are.

    Args:
        snr: B signal-to-noise ratios of the steps.

    Returns:
        B weights.
    """
    return (snr + _NOISE_FLOOR).clamp(max=_SNR_CAP) / (snr + 1)


def draw_times(count: int, generator: torch.Generator) -> Tensor:
    """Steps of the noise schedule, 0 to 999, one from each `count`-th of it in random order: an even draw.

    The variance is below that of independent draws (Kingma et al. 2021, arXiv 2107.00630, appendix I.1).
    """
    even = torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
    return (even * 1000 / count).long().clamp(max=999)


@dataclass
class _Examples:
    scenes: Scenes
    latents: Tensor
    said: Tensor
    texts: list[str]
    times: Tensor


def _draw(pool: Pool, latents: Tensor, count: int, generator: torch.Generator) -> _Examples:
    rows = torch.randint(len(pool), (count,), generator=generator)
    scenes = pool.scenes[rows]
    said = draw_said(count, generator)
    texts = captions_stating(scenes, said, generator)
    empty = torch.rand(count, generator=generator) < _NO_PROMPT
    texts = ["" if blank else text for text, blank in zip(texts, empty, strict=True)]
    times = draw_times(count, generator)
    return _Examples(scenes, latents[rows].float(), said & ~empty[:, None], texts, times)


@torch.no_grad()
def _with_siblings(batch: _Examples, pairs: int, codec: AutoencoderKL, generator: torch.Generator) -> _Examples:
    """Adds siblings of the first `pairs` examples in front: other jitter, no prompt, the same noise level."""
    if pairs == 0:
        return batch
    scenes = batch.scenes[slice(pairs)]
    pictures = to_signed(render(scenes.rejittered(generator))).to(codec.device)
    mean = codec.encode(pictures).latent_dist.mean.float().cpu() * codec.config.scaling_factor
    return _Examples(
        concatenate(scenes, batch.scenes),
        torch.cat([mean, batch.latents]),
        torch.cat([torch.zeros_like(batch.said[:pairs]), batch.said]),
        [""] * pairs + batch.texts,
        torch.cat([batch.times[:pairs], batch.times]),
    )


def train_generator(
    config: Config, pool: Pool, codec: AutoencoderKL
) -> tuple[UNet2DConditionModel, CLIPTextModel, float]:
    """Trains U-Net and text encoder on the latents of the pool.

    Args:
        config: sizes and schedule.
        pool: rendered scenes; none of a held-out combination.
        codec: the trained codec.

    Returns:
        U-Net and text encoder in eval mode, and the seconds it took.
    """
    device, tokenizer = pick_device(), build_tokenizer(CONTEXT)
    with seeded(config.seed):
        unet = build_unet(config.sizes.unet, config.sizes.text)
        text_encoder = build_text_encoder(config.sizes.text, len(tokenizer))
        reader = Reader(config.sizes.text)
        model = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder, "reader": reader}).to(device)
    install(unet, config.sibling_pairs)
    trainer = Trainer(model, config.unet, config.workdir / "unet")
    latents = encode_pool(codec.to(device), pool, trainer.folder / "latents.safetensors")
    schedule = DDPMScheduler(**NOISE)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "unet", step)
        batch = _draw(pool, latents, config.unet.batch - config.sibling_pairs, generator)
        batch = _with_siblings(batch, config.sibling_pairs, codec, generator)
        noise = torch.randn(batch.latents.shape, generator=generator)
        noisy = schedule.add_noise(batch.latents, noise, batch.times).to(device)
        tokens = tokenizer(batch.texts, padding="max_length", return_tensors="pt").input_ids
        text = text_encoder(tokens.to(device))
        predicted = unet(noisy, batch.times.to(device), text.last_hidden_state).sample
        velocity = schedule.get_velocity(batch.latents, noise, batch.times).to(device)
        error = F.mse_loss(predicted.float(), velocity, reduction="none").mean(dim=(1, 2, 3))
        value = (error * velocity_weight(compute_snr(schedule, batch.times)).to(device)).mean()
        # The text encoder must carry what is said before the U-Net can learn it.
        reading = reader.loss(text.pooler_output, batch.scenes.attributes.to(device), batch.said.to(device))
        return value + _READING * reading, {"denoising": float(value.detach()), "reading": float(reading.detach())}

    seconds = trainer.fit(loss)
    unet.set_attn_processor(AttnProcessor2_0())
    return unet, text_encoder, seconds
