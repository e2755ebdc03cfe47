"""Computes references: feedback images noised to a step and passed through the U-Net with the empty prompt."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from fabric.attention import Hidden, ReferenceMemory
from fabric.bank import ReferenceBank
from fabric.encoding import Conditioning, Pipeline, Texts
from fabric.images import FeedbackImage
from fabric.noise_level import noise_level
from fabric.seeding import generator_for


class References:
    """Hidden states of feedback images at a step, out of the bank or computed.

    Args:
        pipeline: of Stable Diffusion.
        memory: of its U-Net's processors.
        bank: keeps what is computed.
        texts: encodes the empty prompt.
        seed: of the noise, which is drawn anew for every image and step.
    """

    def __init__(
        self, pipeline: Pipeline, memory: ReferenceMemory, bank: ReferenceBank, texts: Texts, seed: int
    ) -> None:
        self.pipeline = pipeline
        self.memory = memory
        self.bank = bank
        self.texts = texts
        self.seed = seed

    @torch.no_grad()
    def at(
        self,
        images: Mapping[str, FeedbackImage],
        scheduler: SchedulerMixin,
        index: int,
        size: tuple[int, int],
        device: torch.device,
    ) -> dict[str, Hidden]:
        """Hidden states of images at one step.

        Args:
            images: by id.
            scheduler: after `set_timesteps`.
            index: of the step in its timesteps.
            size: height and width of the generated images.
            device: to have them on.

        Returns:
            Image id to layer name to L x C.
        """
        signal, noise = noise_level(scheduler, index)
        level = (size, index, float(scheduler.timesteps[index]), round(noise, 9), self.seed)
        hidden: dict[str, Hidden] = {}
        for name, image in images.items():
            states = self.bank.get((name, level), device)
            if states is None:
                # One at a time: rounding differs with the size of a batch, and what is in the bank must not show.
                clean = self._latents(image, size)
                drawn = torch.randn(clean.shape, generator=generator_for("reference", name, index, self.seed))
                null = self.texts.get("", size, device, negative=True)
                states = self._record(signal * clean + noise * drawn.to(clean), scheduler.timesteps[index], null)
                self.bank.put((name, level), states)
            hidden[name] = states
        return hidden

    def _record(self, noisy: Tensor, t: Tensor, null: Conditioning) -> dict[str, Tensor]:
        with self.memory.record() as recorded:
            self.pipeline.unet(noisy, t, null.states, added_cond_kwargs=null.added())
            return {layer: states[0] for layer, states in recorded.items()}

    def _latents(self, image: FeedbackImage, size: tuple[int, int]) -> Tensor:
        """The picture's latents: the mean of what the codec's encoder finds, 1 x c x h x w, encoded once."""
        unet, key = self.pipeline.unet, (image.id, size)
        kept = self.bank.get(key, unet.device)
        if kept is None:
            vae = self.pipeline.vae
            pixels = image.pixels(*size)[None].to(vae.device, vae.dtype)
            kept = {"latents": scale_latents(self.pipeline, vae.encode(pixels).latent_dist.mean)}
            self.bank.put(key, kept)
        return kept["latents"].to(unet.dtype)


def scale_latents(pipeline: Pipeline, latents: Tensor) -> Tensor:
    """From the codec's latents to the U-Net's."""
    shift, spread = _statistics(pipeline, latents)
    return (latents - shift) * pipeline.vae.config.scaling_factor / spread


def unscale_latents(pipeline: Pipeline, latents: Tensor) -> Tensor:
    """From the U-Net's latents to the codec's."""
    latents = latents.to(pipeline.vae.dtype)
    shift, spread = _statistics(pipeline, latents)
    return latents / pipeline.vae.config.scaling_factor * spread + shift


def _statistics(pipeline: Pipeline, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that some SDXL codecs state for each channel; 0 and 1 elsewhere."""
    config = pipeline.vae.config
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or std is None:
        return latents.new_zeros(()), latents.new_ones(())
    return latents.new_tensor(mean).view(1, -1, 1, 1), latents.new_tensor(std).view(1, -1, 1, 1)
