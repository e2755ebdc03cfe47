"""Trains the generator: U-Net and text encoder together remove noise from the codec's latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.training_utils import compute_snr
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from experiments.embedded.cache import read_cache, write_cache
from experiments.embedded.models.generator import CONTEXT, build_text_encoder, build_unet
from experiments.embedded.models.siblings import install, siblings_of
from experiments.embedded.shipped import read_history
from experiments.embedded.training.config import Config
from experiments.embedded.training.phases import Phase
from experiments.embedded.training.pool import Pool, to_signed
from experiments.embedded.training.reading import Reader
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.embedded.world.world import Scenes, concatenate
from experiments.training.trainer import Trainer, half_precision, seeded, training_device
from fabric.seeding import generator_for

_NO_PROMPT = 0.12  # share of training captions left empty, for classifier-free guidance
_SNR_CAP = 5.0
_READING = 0.03


def _scaled_latents(codec: AutoencoderKL, images: Tensor) -> Tensor:
    """The U-Net's latents of pictures in [-1, 1], float32 on the CPU."""
    mean = codec.encode(images.to(codec.device)).latent_dist.mean
    return (mean.float() * codec.config.scaling_factor).cpu()


@torch.no_grad()
def encode_pool(codec: AutoencoderKL, pool: Pool, path: Path, batch: int = 128) -> Tensor:
    """Scaled latents of a pool, N x 4 x 16 x 16 in half precision on the CPU; kept in `path` for a resumed run."""
    key = f"{len(pool)} scenes, scaling factor {codec.config.scaling_factor!r}"  # the factor tells codecs apart
    stored = read_cache(path, key)
    if stored is not None:
        return stored["latents"]
    latents = []
    for start in tqdm(range(0, len(pool), batch), desc="latents", mininterval=2):
        with half_precision(codec.device):
            latents.append(_scaled_latents(codec, to_signed(pool.pixels[start : start + batch])).half())
    encoded = torch.cat(latents).contiguous()
    write_cache(path, key, {"latents": encoded})
    return encoded


def picture_weight(snr: Tensor, floor: float) -> Tensor:
    """Weight of the squared error of the predicted picture: min(SNR + floor, 5).

    Without floor this is min-SNR (Hang et al. 2023, arXiv 2303.09556). The floor counts near pure noise, where min-SNR
    weighs nothing: there a prompt and references decide where things are.

    Args:
        snr: B signal-to-noise ratios of the steps.
        floor: at least 0.

    Returns:
        B weights.
    """
    return (snr + floor).clamp(max=_SNR_CAP)


def prediction_weight(snr: Tensor, floor: float, prediction_type: str) -> Tensor:
    """`picture_weight` as the weight of the squared error of what is predicted.

    An error of the picture is SNR times as large in the squared noise, and SNR + 1 times in the squared velocity
    (Salimans and Ho 2022, arXiv 2202.00512, appendix D).

    Args:
        snr: B signal-to-noise ratios of the steps.
        floor: as for `picture_weight`.
        prediction_type: "epsilon" or "v_prediction", as diffusers calls them.

    Returns:
        B weights.
    """
    return picture_weight(snr, floor) / (snr if prediction_type == "epsilon" else snr + 1)


def draw_times(count: int, generator: torch.Generator, power: float = 1.0) -> Tensor:
    """Steps of the noise schedule, 0 to 999, spread evenly over their distribution, in random order.

    An even spread has less variance than independent draws (Kingma et al. 2021, arXiv 2107.00630, appendix I.1).

    Args:
        count: number of steps.
        generator: the source of randomness.
        power: the steps are distributed as 1000 u^(1 / power), u uniform; above 1 prefers noisy ones.

    Returns:
        `count` int64 values.
    """
    even = torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
    return ((even / max(count, 1)) ** (1 / power) * 1000).long().clamp(max=999)


@dataclass
class _Examples:
    scenes: Scenes
    latents: Tensor
    said: Tensor
    texts: list[str]
    times: Tensor


def _draw(pool: Pool, latents: Tensor, count: int, pairs: int, phase: Phase, generator: torch.Generator) -> _Examples:
    """Draws `count` examples; the first `pairs` leave what is hidden to a sibling."""
    rows = torch.randint(len(pool), (count,), generator=generator)
    scenes = pool.scenes[rows]
    world = scenes.world
    said = world.draw_said(count, generator, phase.said)
    for name in phase.hidden:
        said[:pairs, world.column[name]] = False
    said[torch.rand(count, generator=generator) < _NO_PROMPT] = False
    texts = world.captions_stating(scenes, said, generator)
    texts = [text if any_said else "" for text, any_said in zip(texts, said.any(dim=1), strict=True)]
    times = [draw_times(pairs, generator, phase.sibling_power), draw_times(count - pairs, generator, phase.power)]
    return _Examples(scenes, latents[rows].float(), said, texts, torch.cat(times))


@torch.no_grad()
def _with_siblings(
    batch: _Examples, pairs: int, shared: tuple[str, ...], codec: AutoencoderKL, generator: torch.Generator
) -> _Examples:
    """Adds siblings of the first `pairs` examples in front: no prompt, up to half as far in the noise."""
    if pairs == 0:
        return batch
    times = batch.times[:pairs] * (1 - 0.5 * torch.rand(pairs, generator=generator))
    siblings = siblings_of(batch.scenes[slice(pairs)], shared, generator)
    latents = _scaled_latents(codec, to_signed(siblings.world.render(siblings)))
    return _Examples(
        concatenate(siblings, batch.scenes),
        torch.cat([latents, batch.latents]),
        torch.cat([torch.zeros_like(batch.said[:pairs]), batch.said]),
        [""] * pairs + batch.texts,
        torch.cat([times.long(), batch.times]),
    )


class _Denoiser(nn.Module):
    """What is trained: U-Net, text encoder and a reader of what the text states."""

    def __init__(self, config: Config, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.unet = build_unet(config.sizes.unet, config.sizes.text)
        self.text_encoder = build_text_encoder(config.sizes.text, len(tokenizer))
        self.reader = Reader(config.sizes.text, config.world.counts)
        self.tokenizer = tokenizer

    def start_from(self, folder: Path) -> None:
        """Takes over the weights of a shipped generator; the reader, which is not shipped, begins anew."""
        self.unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder / "unet").state_dict())
        self.text_encoder.load_state_dict(CLIPTextModel.from_pretrained(folder / "text_encoder").state_dict())

    def loss(
        self, draw: Callable[[torch.Generator], _Examples], phase: Phase, seed: int, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Error of denoising a step's batch, and of reading the stated attributes off its text."""
        generator = generator_for(seed, phase.name, step)
        batch = draw(generator)
        device = self.unet.device
        schedule = phase.schedule
        noise = torch.randn(batch.latents.shape, generator=generator)
        noisy = schedule.add_noise(batch.latents, noise, batch.times).to(device)
        tokens = self.tokenizer(batch.texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        text = self.text_encoder(tokens.to(device))
        predicted = self.unet(noisy, batch.times.to(device), text.last_hidden_state).sample
        kind = schedule.config.prediction_type
        wanted = noise if kind == "epsilon" else schedule.get_velocity(batch.latents, noise, batch.times)
        weight = prediction_weight(compute_snr(schedule, batch.times), phase.snr_floor, kind)
        error = F.mse_loss(predicted.float(), wanted.to(device), reduction="none").mean(dim=(1, 2, 3))
        denoising = (error * weight.to(device)).mean()
        # The text encoder must carry what is said before the U-Net can learn it.
        reading = self.reader.loss(text.pooler_output, batch.scenes.attributes.to(device), batch.said.to(device))
        figures = {"denoising": float(denoising.detach()), "reading": float(reading.detach())}
        return denoising + _READING * reading, figures


def train_generator(
    config: Config, pool: Pool, codec: AutoencoderKL
) -> tuple[UNet2DConditionModel, CLIPTextModel, dict[str, float]]:
    """Trains U-Net and text encoder on the latents of the pool, one phase after the other.

    Args:
        config: sizes and schedules.
        pool: rendered scenes; none of a held-out combination.
        codec: the trained codec.

    Returns:
        U-Net and text encoder in eval mode, and the seconds that each phase took which was trained, by its name.
    """
    device = training_device()
    with seeded(config.seed):
        model = _Denoiser(config, build_tokenizer(config.world, CONTEXT)).to(device)
    latents = encode_pool(codec.to(device), pool, config.workdir / "latents.safetensors")
    done = frozenset[str]()
    if config.first_generator is not None:
        model.start_from(config.first_generator)
        done = frozenset(read_history(config.first_generator))
    seconds = {}
    for phase in (phase for phase in config.phases if phase.name not in done):
        pairs = int(phase.length.batch * phase.siblings)
        install(model.unet, pairs)

        def draw(generator: torch.Generator, phase: Phase = phase, pairs: int = pairs) -> _Examples:
            batch = _draw(pool, latents, phase.length.batch - pairs, pairs, phase, generator)
            return _with_siblings(batch, pairs, phase.shared, codec, generator)

        trainer = Trainer(model, phase.length, config.workdir / phase.name)
        seconds[phase.name] = trainer.fit(partial(model.loss, draw, phase, config.seed))
    model.unet.set_attn_processor(AttnProcessor2_0())
    model.eval()
    return model.unet, model.text_encoder, seconds
