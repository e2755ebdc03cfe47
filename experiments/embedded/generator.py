"""The generator: U-Net and text encoder, trained together to remove noise from the codec's latents."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    EulerAncestralDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from diffusers.training_utils import compute_snr
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedModel

from experiments.embedded.captions import random_captions
from experiments.embedded.config import Config
from experiments.embedded.pool import Pool, read_cache, to_signed, write_cache
from experiments.embedded.tokenizer import build_tokenizer
from experiments.embedded.training import Trainer, pick_device, seeded
from fabric.seeding import generator_for

CONTEXT = 32
_NO_PROMPT = 0.12  # share of training captions left empty, for classifier-free guidance
_SNR_CAP = 5.0
_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


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


def denoising_loss(prediction: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Noise-prediction error weighted by min(SNR, 5) / SNR (Hang et al. 2023, arXiv 2303.09556, min-SNR).

    Args:
        prediction: B x 4 x h x w predicted noise.
        noise: B x 4 x h x w noise that was added.
        snr: B signal-to-noise ratios of the steps.

    Returns:
        Scalar loss.
    """
    error = F.mse_loss(prediction.float(), noise, reduction="none").mean(dim=(1, 2, 3))
    return (error * snr.clamp(max=_SNR_CAP) / snr).mean()


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
        model = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder}).to(device)
    # On the CPU the explicit form is 1.4 times as fast to train as the fused kernel at these sizes.
    unet.set_attn_processor(AttnProcessor() if device.type == "cpu" else AttnProcessor2_0())
    trainer = Trainer(model, config.unet, config.workdir / "unet")
    latents = encode_pool(codec.to(device), pool, trainer.folder / "latents.safetensors")
    schedule = DDPMScheduler(**_NOISE)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "unet", step)
        rows = torch.randint(len(pool), (config.unet.batch,), generator=generator)
        empty = torch.rand(len(rows), generator=generator) < _NO_PROMPT
        texts = random_captions(pool.scenes[rows], generator)
        texts = ["" if blank else text for text, blank in zip(texts, empty, strict=True)]
        times = torch.randint(1000, (len(rows),), generator=generator)
        noise = torch.randn(len(rows), *latents.shape[1:], generator=generator)
        noisy = schedule.add_noise(latents[rows].float(), noise, times)
        tokens = tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
        states = text_encoder(tokens.to(device)).last_hidden_state
        predicted = unet(noisy.to(device), times.to(device), states).sample
        snr = compute_snr(schedule, times).to(device)
        return denoising_loss(predicted, noise.to(device), snr), {}

    seconds = trainer.fit(loss)
    unet.set_attn_processor(AttnProcessor2_0())
    return unet, text_encoder, seconds


def assemble(codec: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> StableDiffusionPipeline:
    """The pipeline of the trained parts, with the Euler ancestral scheduler of the FABRIC paper."""
    return StableDiffusionPipeline(
        vae=codec,
        text_encoder=text_encoder,
        tokenizer=build_tokenizer(CONTEXT),
        unet=unet,
        scheduler=EulerAncestralDiscreteScheduler(**_NOISE, steps_offset=1),
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
