"""Generates images from prompts and seeds, steered by weighted liked and disliked images: FABRIC in its first form.

Notation:
    B: images to generate, T: denoising steps, R: references (liked and disliked together).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from fabric.attention import ReferenceMemory, install
from fabric.seeding import generator_for


@dataclass(frozen=True)
class Feedback:
    """Reference images and how much each counts.

    Attributes:
        images: R x 3 x H x W in [-1, 1], the size that is generated.
        liked: T x B x R weights in the conditional pass, at least 0.
        disliked: T x B x R weights in the unconditional pass, at least 0.
    """

    images: Tensor
    liked: Tensor
    disliked: Tensor


def content_id(image: Tensor) -> str:
    """A name for an image by its content."""
    return hashlib.sha256(image.float().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]


class FabricGenerator:
    """Runs Algorithm 1 of the FABRIC paper on a Stable Diffusion pipeline.

    Args:
        pipeline: its U-Net gets attention processors that can attend to references.
    """

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        self.pipeline = pipeline
        self.memory: ReferenceMemory = install(pipeline.unet)

    @torch.no_grad()
    def __call__(
        self,
        prompts: list[str],
        seeds: list[int],
        guidance: Tensor,
        steps: int,
        feedback: Feedback | None = None,
    ) -> Tensor:
        """Generates one image for each prompt and seed.

        Args:
            prompts: B prompts.
            seeds: B seeds; prompt, seed, guidance and feedback weights alone decide an image.
            guidance: B scales of classifier-free guidance.
            steps: denoising steps T.
            feedback: references, or None.

        Returns:
            B x 3 x H x W images in [-1, 1].
        """
        pipe = self.pipeline
        prompt, null = (self._encode(texts) for texts in (prompts, [""] * len(prompts)))
        pipe.scheduler.set_timesteps(steps, device=pipe.device)
        latents = self._initial_latents(seeds) * pipe.scheduler.init_noise_sigma
        noises = [generator_for("ancestral", seed) for seed in seeds]
        clean = latents[:0] if feedback is None else self._encode_images(feedback.images)
        names = [] if feedback is None else [content_id(image) for image in feedback.images]
        scale = guidance.to(latents)[:, None, None, None]
        for i, t in enumerate(pipe.scheduler.timesteps):
            z = pipe.scheduler.scale_model_input(latents, t)
            if feedback is None:
                predicted = pipe.unet(torch.cat([z, z]), t, torch.cat([null, prompt])).sample
                unconditional, conditional = predicted.chunk(2)
            else:
                liked, disliked = feedback.liked[i].to(latents), feedback.disliked[i].to(latents)
                if bool((liked + disliked > 0).any()):
                    self._record(clean, names, null[:1].expand(len(clean), -1, -1), i, t)
                with self.memory.attend(disliked):
                    unconditional = pipe.unet(z, t, null).sample
                with self.memory.attend(liked):
                    conditional = pipe.unet(z, t, prompt).sample
            predicted = unconditional + scale * (conditional - unconditional)
            latents = pipe.scheduler.step(predicted, t, latents, generator=noises).prev_sample
        return pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample.clamp(-1, 1)

    def _encode(self, texts: list[str]) -> Tensor:
        tokens = self.pipeline.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return self.pipeline.text_encoder(tokens.to(self.pipeline.device)).last_hidden_state

    def _encode_images(self, images: Tensor) -> Tensor:
        vae = self.pipeline.vae
        return vae.encode(images.to(vae.dtype)).latent_dist.mean * vae.config.scaling_factor

    def _initial_latents(self, seeds: list[int]) -> Tensor:
        unet = self.pipeline.unet
        shape = (unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
        drawn = [torch.randn(shape, generator=generator_for("latents", seed)) for seed in seeds]
        return torch.stack(drawn).to(unet.device, unet.dtype)

    def _record(self, clean: Tensor, names: list[str], null: Tensor, step: int, t: Tensor) -> None:
        """Passes the references, noised to step `t`, through the U-Net with the empty prompt."""
        pipe = self.pipeline
        noise = torch.stack(
            [torch.randn(clean.shape[1:], generator=generator_for("ref", name, step)) for name in names]
        ).to(clean)
        noisy = pipe.scheduler.add_noise(clean, noise, t.expand(len(clean)))
        with self.memory.record():
            pipe.unet(pipe.scheduler.scale_model_input(noisy, t), t, null)
