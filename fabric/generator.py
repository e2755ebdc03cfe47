"""Generates images from requests: prompts, seeds, settings, and liked and disliked images.

Notation:
    B: requests of a batch, T: denoising steps, R: references (feedback images) of one request and sign.
    H, W: image size in pixels; h, w: of the latents.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fabric.attention import install
from fabric.bank import ReferenceBank
from fabric.dropout import drop_words
from fabric.encoding import Conditioning, Pipeline, Texts
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.plan import Row, groups, needed, rows_of
from fabric.references import References, unscale_latents
from fabric.seeding import generator_for

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One image to generate. It alone decides the image, whatever else is in its batch.

    Attributes:
        prompt: may be empty.
        seed: of everything random but the references' noise, which is shared.
        params: FABRIC's settings.
        liked: images to come closer to.
        disliked: images to keep away from.
        negative_prompt: for the unconditional pass of classifier-free guidance.
    """

    prompt: str
    seed: int
    params: FabricParams = field(default_factory=FabricParams)
    liked: tuple[FeedbackImage, ...] = ()
    disliked: tuple[FeedbackImage, ...] = ()
    negative_prompt: str = ""


@dataclass(frozen=True)
class Generated:
    """What came of requests.

    Attributes:
        images: B x 3 x H x W in [-1, 1], float32 on the CPU.
        prompts: the prompts used, after dropout.
    """

    images: Tensor
    prompts: list[str]


class FabricGenerator:
    """Runs Algorithm 1 of the FABRIC paper (von Rütte et al. 2023, arXiv 2307.10159) on a diffusers pipeline.

    Args:
        pipeline: Stable Diffusion 1.x, 2.x or XL; its U-Net gets processors that can attend to references, which
            leave ordinary use of the pipeline as it was.
        bank: keeps references' hidden states; one of its own by default.
        reference_seed: of the references' noise, shared by all requests.
    """

    def __init__(self, pipeline: Pipeline, bank: ReferenceBank | None = None, reference_seed: int = 0) -> None:
        self.pipeline = pipeline
        if pipeline.vae.dtype == torch.float16 and pipeline.vae.config.force_upcast:
            pipeline.vae.float()  # SDXL's codec overflows in half precision
        self.memory = install(pipeline.unet)
        self.bank = ReferenceBank() if bank is None else bank
        self.texts = Texts(pipeline)
        self.references = References(pipeline, self.memory, self.bank, self.texts, reference_seed)

    @property
    def native_size(self) -> tuple[int, int]:
        """Height and width that the model was trained on."""
        size = self.pipeline.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return height * self.pipeline.vae_scale_factor, width * self.pipeline.vae_scale_factor

    def check(self, steps: int, size: tuple[int, int] | None = None) -> None:
        """Raises the `ValueError` that a call would raise."""
        if steps < 1:
            raise ValueError(f"steps: {steps} is out of range; allowed: 1 or more")
        height, width = size or self.native_size
        factor = self.pipeline.vae_scale_factor
        if min(height, width) < factor or height % factor or width % factor:
            raise ValueError(f"size: {width}x{height} is not possible; allowed: multiples of {factor}")

    def evaluations(self, steps: int) -> int:
        """How often the scheduler asks the U-Net in so many steps, and so `on_step` is called for a batch."""
        return len(self._scheduler(steps).timesteps)

    def _scheduler(self, steps: int) -> Any:
        """A scheduler whose state is one batch's own."""
        scheduler = type(self.pipeline.scheduler).from_config(self.pipeline.scheduler.config)
        scheduler.set_timesteps(steps, device=self.pipeline.device)
        return scheduler

    def __call__(
        self,
        requests: Sequence[Request],
        steps: int = 20,
        size: tuple[int, int] | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> Generated:
        """Generates an image for each request. Where memory does not suffice the batch is halved.

        Args:
            requests: B of them, at least one.
            steps: denoising steps T.
            size: height and width in pixels; the native size by default.
            on_step: called after every step of every batch.

        Returns:
            Images and the prompts used.

        Raises:
            ValueError: steps or size are not possible.
            MemoryError: a single image does not fit.
        """
        self.check(steps, size)
        height, width = size or self.native_size
        try:
            return self._batch(requests, steps, (height, width), on_step)
        except torch.OutOfMemoryError as error:
            if len(requests) == 1:
                raise MemoryError(
                    f"one image of {width}x{height} does not fit; try a smaller size, fewer feedback images, "
                    "or references kept in main memory (--offload)"
                ) from error
        half = len(requests) // 2
        _log.warning("out of memory with %d images at once; going on with %d", len(requests), half)
        self.bank.clear()
        parts = [self(half, steps, (height, width), on_step) for half in (requests[:half], requests[half:])]
        return Generated(torch.cat([p.images for p in parts]), [text for p in parts for text in p.prompts])

    @torch.no_grad()
    def _batch(
        self, requests: Sequence[Request], steps: int, size: tuple[int, int], on_step: Callable[[], None]
    ) -> Generated:
        """Denoises one batch: Algorithm 1."""
        pipe, device = self.pipeline, self.pipeline.device  # diffusers looks through all modules for it
        scheduler = self._scheduler(steps)
        prompts = [drop_words(r.prompt, r.params.prompt_dropout, r.seed) for r in requests]
        conditioning = self._conditioning(requests, prompts, size, device)
        rows = self._rows(requests, len(scheduler.timesteps), size)
        guidance = torch.tensor([r.params.guidance_scale for r in requests])[:, None, None, None].to(device)
        latents = self._initial_latents(requests, size) * scheduler.init_noise_sigma
        noises = [generator_for("ancestral", r.seed) for r in requests]
        extra = {"generator": noises} if "generator" in inspect.signature(scheduler.step).parameters else {}
        for index, t in enumerate(scheduler.timesteps):
            hidden = self.references.at(needed(rows, index), scheduler, index, size, device)
            z = scheduler.scale_model_input(torch.cat([latents, latents]), t)
            with self.memory.attend(groups(rows, index, hidden, device), latents.shape[-2:]):
                predicted = pipe.unet(z, t, conditioning.states, added_cond_kwargs=conditioning.added()).sample
            unconditional, conditional = predicted.chunk(2)
            predicted = unconditional + guidance.to(predicted.dtype) * (conditional - unconditional)
            latents = scheduler.step(predicted, t, latents, **extra).prev_sample
            on_step()
        return Generated(self._decode(latents), prompts)

    @staticmethod
    def _rows(requests: Sequence[Request], steps: int, size: tuple[int, int]) -> list[Row]:
        """Unconditional samples of all requests, then the conditional ones."""
        pairs = [rows_of(r.params, r.liked, r.disliked, steps, size) for r in requests]
        return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]

    def _conditioning(
        self, requests: Sequence[Request], prompts: list[str], size: tuple[int, int], device: torch.device
    ) -> Conditioning:
        """2B rows: negative prompts, then prompts; every text is encoded once."""
        texts = [(r.negative_prompt, True) for r in requests] + [(text, False) for text in prompts]
        return Conditioning.cat([self.texts.get(text, size, device, negative=negative) for text, negative in texts])

    def _initial_latents(self, requests: Sequence[Request], size: tuple[int, int]) -> Tensor:
        unet, factor = self.pipeline.unet, self.pipeline.vae_scale_factor
        shape = (unet.config.in_channels, size[0] // factor, size[1] // factor)
        drawn = [torch.randn(shape, generator=generator_for("latents", r.seed)) for r in requests]
        return torch.stack(drawn).to(unet.device, unet.dtype)

    def _decode(self, latents: Tensor) -> Tensor:
        decoded = self.pipeline.vae.decode(unscale_latents(self.pipeline, latents)).sample
        return decoded.float().cpu().clamp(-1, 1)
