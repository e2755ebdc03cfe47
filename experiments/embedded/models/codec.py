"""The codec: an AutoencoderKL that turns 64 x 64 pictures into 4 x 16 x 16 latents and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import Pool
from experiments.training.trainer import Trainer, seeded, training_device
from fabric.seeding import generator_for

_KL_WEIGHT = 1e-5
_EDGE_WEIGHT = 0.5


def build_codec(channels: tuple[int, ...]) -> AutoencoderKL:
    """A small AutoencoderKL, downsampling by 4, with random weights."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
    )


def _edges(images: Tensor) -> tuple[Tensor, Tensor]:
    return images.diff(dim=-1), images.diff(dim=-2)


def codec_loss(codec: AutoencoderKL, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstruction of pixels and edges plus a small Kullback-Leibler term.

    Args:
        codec: the autoencoder.
        images: B x 3 x 64 x 64 in [-1, 1].
        noise: B x 4 x 16 x 16 standard normal, for the sample of the posterior.

    Returns:
        The loss and the mean squared error of the pixels, both scalars.
    """
    posterior = codec.encode(images).latent_dist
    decoded = codec.decode(posterior.mean + posterior.std * noise).sample.float()
    squared = F.mse_loss(decoded, images)
    edges = sum(F.l1_loss(a, b) for a, b in zip(_edges(decoded), _edges(images), strict=True))
    pixels = squared + 0.5 * F.l1_loss(decoded, images)
    return pixels + _EDGE_WEIGHT * edges + _KL_WEIGHT * posterior.kl().mean(), squared


def train_codec(config: Config, pool: Pool) -> tuple[AutoencoderKL, float]:
    """Trains the codec on the pool.

    Args:
        config: sizes and schedule.
        pool: rendered scenes.

    Returns:
        The codec in eval mode, `scaling_factor` set so that latents have unit variance, and the seconds it took.
    """
    device = training_device()
    if config.first_codec is None:
        with seeded(config.seed):
            codec = build_codec(config.sizes.vae)
    else:
        codec = AutoencoderKL.from_pretrained(config.first_codec)
    codec.to(device)
    trainer = Trainer(codec, config.codec, config.workdir / "codec")

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "codec", step)
        images = pool.draw(config.codec.batch, generator).images.to(device)
        noise = torch.randn(len(images), 4, 16, 16, generator=generator).to(device)
        value, squared = codec_loss(codec, images, noise)
        return value, {"psnr": float(10 * torch.log10(4 / squared.detach()))}

    seconds = trainer.fit(loss)
    codec.register_to_config(scaling_factor=1 / _latent_std(codec, pool, device))
    return codec, seconds


@torch.no_grad()
def _latent_std(codec: AutoencoderKL, pool: Pool, device: torch.device) -> float:
    batch = pool.draw(256, generator_for("latent-std")).images.to(device)
    return float(codec.encode(batch).latent_dist.mean.std())


@torch.no_grad()
def reconstructions(codec: AutoencoderKL, images: Tensor) -> Tensor:
    """Pictures in [-1, 1] through the codec."""
    return torch.cat(
        [codec.decode(codec.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in images.split(64)]
    )
