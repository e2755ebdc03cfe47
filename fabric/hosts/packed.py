"""What FLUX.1 and its kin have in common: 2 x 2 latent pixels are a token, guidance by calls that are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fabric.hosts.base import Call
from fabric.hosts.transformer import TransformerHost, shift_of
from fabric.plan import Role

PATCH = 2  # latent pixels of a token's side
_TRAINED = 1000  # timesteps, of which the models are told a fraction


class PackedHost(TransformerHost):
    """A pipeline that packs latents, and guides by a call named "uncond" after each named "cond"; see `Host`."""

    flow = True
    says_guidance = False

    def roles(self, call: Call) -> tuple[Role, ...]:
        """See `Host`; where nobody said that the pipeline guides, a call with a negative prompt sees nothing."""
        if self.guided:
            role = Role.UNCONDITIONAL if call.name == "uncond" else Role.CONDITIONAL
        else:
            role = Role.APART if call.name == "uncond" else Role.SINGLE
        return (role,) * len(call.arguments["hidden_states"])

    def timestep(self, call: Call) -> float:
        """See `Host`."""
        return _TRAINED * super().timestep(call)

    def told_timestep(self, timestep: Tensor, sample: Tensor) -> Tensor:
        """What the model is told of a timestep of the scheduler, for each of some samples."""
        return timestep.expand(len(sample)).to(sample.dtype) / _TRAINED

    def grid_of(self, tokens: int, sides: tuple[int, int]) -> tuple[int, int]:
        """Height and width of latents whose tokens are in rows and columns; see `Host.grid`.

        Raises:
            ValueError: so many tokens are not those of the image alone.
        """
        height, width = sides
        if height * width != tokens:
            raise ValueError(
                f"pipeline: {type(self.pipeline).__name__} shows the model pictures of its own; allowed: those that "
                "show it nothing but the image"
            )
        return PATCH * height, PATCH * width

    def pack(self, latents: Tensor) -> Tensor:
        """See `Host`."""
        height, width = latents.shape[-2:]
        return self.pipeline._pack_latents(latents, len(latents), self.channels, height, width)

    def unpack(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """See `Host`."""
        return self.pipeline._unpack_latents(latents, *size, self.pipeline.vae_scale_factor)

    def start(self, scheduler: Any, steps: int, size: tuple[int, int], device: torch.device) -> None:
        """See `Host`."""
        sigmas = None if scheduler.config.get("use_flow_sigmas") else np.linspace(1.0, 1 / steps, steps)
        mu = self.shift(scheduler, steps, size[0] * size[1] // self.multiple**2)
        scheduler.set_timesteps(steps, device=device, sigmas=sigmas, mu=mu)
        scheduler.set_begin_index(0)

    def shift(self, scheduler: Any, steps: int, tokens: int) -> float | None:
        """How far a scheduler is to shift its timesteps for images of so many tokens; see `shift_of`."""
        return shift_of(scheduler, tokens, 1.15)

    @property
    def multiple(self) -> int:
        """See `Host`."""
        return PATCH * self.pipeline.vae_scale_factor

    @property
    def channels(self) -> int:
        """See `Host`."""
        return self.core.config.in_channels // PATCH**2

    @property
    def native_size(self) -> tuple[int, int]:
        """See `Host`."""
        side = self.pipeline.default_sample_size * self.pipeline.vae_scale_factor
        return side, side
