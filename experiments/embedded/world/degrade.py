"""Damage of the kinds that a diffusion model does: blur, grain and bent shapes.

Judges see it in training so that they can read generated pictures; the preference judge learns to dislike it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blurred(images: Tensor, factor: int = 4) -> Tensor:
    """Pictures at a resolution that is lower by a factor, at their own size."""
    smaller = F.avg_pool2d(images, factor)
    return F.interpolate(smaller, size=images.shape[-2:], mode="bilinear")


def _bent(images: Tensor, amount: Tensor, generator: torch.Generator) -> Tensor:
    """Moves pixels along a smooth random field, by up to about `amount` (B) of half the picture."""
    count = len(images)
    knots = torch.randn(count, 2, 6, 6, generator=generator) * amount[:, None, None, None]
    flow = F.interpolate(knots, size=images.shape[-2:], mode="bicubic").permute(0, 2, 3, 1)
    return displaced(images, flow)


def displaced(images: Tensor, flow: Tensor) -> Tensor:
    """Pictures whose pixels come from elsewhere, by B x H x W x 2 halves of the picture."""
    identity = torch.eye(2, 3).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid + flow, padding_mode="border", align_corners=False)


def degrade(images: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    """Damages pictures.

    Args:
        images: B x 3 x H x W.
        level: B values in [0, 1]; 0 leaves a picture as it is.
        generator: decides the mix of blur, grain and bending of each picture.

    Returns:
        Damaged pictures in the range of the input's own values plus grain.
    """
    mix = torch.rand(3, len(images), generator=generator)
    blur, grain, bend = mix / mix.amax(dim=0) * level
    images = _bent(images, 0.10 * bend, generator)
    images = torch.lerp(images, blurred(images), blur[:, None, None, None])
    noise = torch.randn(images.shape, generator=generator)
    return images + 0.25 * grain[:, None, None, None] * noise
