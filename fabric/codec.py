"""Codecs of diffusers: the scale of their latents, and what they need to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_DECODED = 64 * 64  # latent pixels decoded at once: those of one image of 512 x 512


def scaled_latents(config: Any, found: Tensor) -> Tensor:
    """What a codec's encoder finds as models of noise take it, N x c x h x w."""
    shift, spread = _statistics(config, found)
    return (found - shift) * config.get("scaling_factor", 1.0) / spread


def decoded(vae: Any, latents: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """Images of latents, float32 on the CPU; only few large ones at once, so that a batch needs little memory.

    Args:
        vae: the codec.
        latents: as models of noise take them, N x c x h x w.
        decode: what the codec makes of some of its latents.
    """
    with upcast(vae) as dtype:
        shift, spread = _statistics(vae.config, latents)
        unscaled = (latents / vae.config.get("scaling_factor", 1.0) * spread + shift).to(dtype)
        at_once = max(1, _DECODED // unscaled[0, 0].numel())
        return torch.cat([decode(few).float().cpu().clamp(-1, 1) for few in unscaled.split(at_once)])


@contextmanager
def upcast(vae: Any) -> Iterator[torch.dtype]:
    """Within, a codec that overflows in half precision, as SDXL's does, runs in single precision; its dtype then."""
    config = vae.config
    half = vae.dtype == torch.float16 and config.get("force_upcast") and config.get("scaling_factor", 1) < 0.15
    if not half:
        yield vae.dtype
        return
    vae.to(torch.float32)
    try:
        yield torch.float32
    finally:
        vae.to(torch.float16)


def _statistics(config: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that some codecs state, for each channel or for all; 0 and 1 elsewhere."""
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None or std is None:
        return like.new_tensor(config.get("shift_factor") or 0.0), like.new_ones(())
    return like.new_tensor(mean).view(1, -1, 1, 1), like.new_tensor(std).view(1, -1, 1, 1)
