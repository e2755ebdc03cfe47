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

from fabric.bank import ReferenceBank
from fabric.dropout import drop_words
from fabric.encoding import Pipeline, Text
from fabric.hook import attached
from fabric.hosts import host_of
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.plan import Row, rows_of
from fabric.references import References
from fabric.seeding import generator_for
from fabric.steering import Layers, Level, Steering, check_level, layers_of, level_of

_log = logging.getLogger(__name__)
_LARGEST = 8192  # pixels of a side; more is a mistake, which would run out of memory after a long time


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
        round: of a session; an image judged in the round before has age 0.
        missed: words of the prompt that earlier images did not show: they are never dropped, and count as
            `FabricParams.emphasis` says.
    """

    prompt: str
    seed: int
    params: FabricParams = field(default_factory=FabricParams)
    liked: tuple[FeedbackImage, ...] = ()
    disliked: tuple[FeedbackImage, ...] = ()
    negative_prompt: str = ""
    round: int = 0
    missed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Generated:
    """What came of requests.

    Attributes:
        images: B x 3 x H x W in [-1, 1], float32 on the CPU.
        prompts: the prompts used, after dropout.
        attention: of each image, by id of a reference: the share of the self-attention that it received at each of T
            evaluations, a mean over layers, heads and tokens; disliked images in the unconditional pass.
    """

    images: Tensor
    prompts: list[str]
    attention: list[dict[str, list[float]]]


class FabricGenerator:
    """Batched and seeded front end of FABRIC (von Rütte et al. 2023, arXiv 2307.10159, Algorithm 1).

    Args:
        pipeline: of a family of `fabric.hosts`, text to image; left as it is.
        bank: keeps references' hidden states; one of its own by default.
        reference_seed: of the references' noise, shared by all requests.
        reference_level: of the references' noise; see `fabric.feedback`.
        reference_layers: in which references are seen, likewise.

    Raises:
        ValueError: the pipeline is of no known family or has no such layers, or the bank belongs to another model.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        bank: ReferenceBank | None = None,
        reference_seed: int = 0,
        reference_level: Level = None,
        reference_layers: Layers = None,
    ) -> None:
        check_level(reference_level)
        self.pipeline = pipeline
        self.host = host_of(pipeline)
        self.bank = ReferenceBank() if bank is None else bank
        self.references = References(self.host, self.bank, reference_seed)
        self.reference_level = reference_level
        self.reference_layers = layers_of(self.host, reference_layers)
        self._fits: dict[tuple[int, int], int] = {}

    @property
    def native_size(self) -> tuple[int, int]:
        """Height and width that the model was trained on."""
        return self.host.native_size

    def check(self, steps: int, size: tuple[int, int] | None = None, requests: Sequence[Request] = ()) -> None:
        """Raises the `ValueError` that a call would raise."""
        self.evaluations(steps)
        self._check_size(*(size or self.native_size))
        for request in requests:
            self.host.check(request.params, (*request.liked, *request.disliked))
            self.host.check_negative(request.negative_prompt)

    def _check_size(self, height: int, width: int) -> None:
        factor = self.host.multiple
        if min(height, width) < factor or max(height, width) > _LARGEST or height % factor or width % factor:
            allowed = f"multiples of {factor} up to {_LARGEST}"
            raise ValueError(f"size: {width}x{height} is not possible; allowed: {allowed}")

    def bank_bytes(self, requests: Sequence[Request], steps: int, size: tuple[int, int] | None = None) -> int:
        """What the bank would hold after requests, all at their most: every picture at every step, or at its one level.

        Args:
            requests: them.
            steps: denoising steps.
            size: height and width in pixels; the native size by default.
        """
        pictures = {image.id for request in requests for image in (*request.liked, *request.disliked)}
        outer = any(request.params.outer > 0 for request in requests)
        return self.bytes_of(len(pictures), steps, size, outer=outer)

    def bytes_of(self, pictures: int, steps: int, size: tuple[int, int] | None = None, *, outer: bool) -> int:
        """What the bank holds of so many pictures, at every step or at their one level; see `bank_bytes`.

        Args:
            pictures: how many.
            steps: denoising steps.
            size: height and width in pixels; the native size by default.
            outer: with the outermost layers.
        """
        levels = self.evaluations(steps) if self.level is None else 1
        return pictures * levels * self.host.kept_bytes(size or self.native_size, self.reference_layers, outer=outer)

    @property
    def level(self) -> float | None:
        """Noise of the references as a fraction of the training timesteps; None for that of each step."""
        return level_of(self.host, self.reference_level)

    def evaluations(self, steps: int) -> int:
        """How often the scheduler asks the model in so many steps, and so `on_step` is called for a batch."""
        return len(self._scheduler(steps, self.native_size, torch.device("cpu")).timesteps)

    def _scheduler(self, steps: int, size: tuple[int, int], device: torch.device) -> Any:
        """A scheduler whose state is one batch's own."""
        if steps < 1:
            raise ValueError(f"steps: {steps} is out of range; allowed: 1 or more")
        scheduler = type(self.pipeline.scheduler).from_config(self.pipeline.scheduler.config)
        try:
            self.host.start(scheduler, steps, size, device)
        except ValueError as error:
            raise ValueError(f"steps: {steps} cannot be had of {type(scheduler).__name__} ({error})") from error
        return scheduler

    def __call__(
        self,
        requests: Sequence[Request],
        steps: int = 20,
        size: tuple[int, int] | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> Generated:
        """Generates an image for each request. Where memory does not suffice it goes on with smaller batches.

        Args:
            requests: B >= 1 of them.
            steps: denoising steps T.
            size: height and width in pixels; the native size by default.
            on_step: called after every step of every batch.

        Raises:
            ValueError: there are no requests, or steps or size are not possible.
            MemoryError: a single image does not fit.
        """
        if not requests:
            raise ValueError("requests: none; allowed: one or more")
        self.check(steps, size, requests)
        height, width = size or self.native_size
        parts: list[Generated] = []
        done = 0
        while done < len(requests):
            count = min(len(requests) - done, self._fits.get((height, width), len(requests)))
            try:
                parts.append(self._batch(requests[done : done + count], steps, (height, width), on_step))
                done += count
            except torch.OutOfMemoryError as error:
                if count == 1:
                    raise MemoryError(
                        f"one image of {width}x{height} does not fit; try a smaller size, fewer feedback images, "
                        "or references kept in main memory (--offload)"
                    ) from error
                self._fits[height, width] = count // 2
                _log.warning("out of memory with %d images at once; going on with %d", count, count // 2)
        return Generated(
            torch.cat([part.images for part in parts]),
            [prompt for part in parts for prompt in part.prompts],
            [received for part in parts for received in part.attention],
        )

    @torch.no_grad()
    def _batch(
        self, requests: Sequence[Request], steps: int, size: tuple[int, int], on_step: Callable[[], None]
    ) -> Generated:
        """Denoises one batch: the unconditional samples of the requests that have any, then the conditional ones."""
        host, device = self.host, self.host.device
        scheduler = self._scheduler(steps, size, device)
        guided = [k for k, r in enumerate(requests) if host.classifier_free and r.params.guidance_scale > 1]
        prompts = [drop_words(r.prompt, r.params.prompt_dropout, r.seed, r.missed) for r in requests]
        texts = [Text(requests[place].negative_prompt, negative=True) for place in guided]
        texts += [Text(p, False, r.missed, r.params.emphasis) for p, r in zip(prompts, requests, strict=True)]
        told = host.told(texts, size, device)
        scales = [requests[k].params.guidance_scale for k in [*guided, *range(len(requests))]]
        rows = self._rows(requests, guided, len(scheduler.timesteps))
        steering = Steering(
            host, self.references, lambda: scheduler, lambda *_: rows, self.reference_level, self.reference_layers
        )
        extra = self._step_arguments(scheduler, requests)
        latents = self._initial_latents(scheduler, requests, size)
        chosen = torch.tensor(guided, device=device, dtype=torch.int64)
        guidance = torch.tensor(scales[: len(guided)], device=device, dtype=latents.dtype)
        with attached(host, steering):
            for t in scheduler.timesteps:
                z = host.scaled(scheduler, torch.cat([latents[chosen], latents]), t)
                predicted = host.predict(host.arguments(z, t, told, scales, size)).to(latents.dtype)
                unconditional, conditional = predicted.split([len(guided), len(requests)])
                if guided:
                    scale = guidance.view(-1, *[1] * (z.ndim - 1))
                    conditional = conditional.index_copy(
                        0, chosen, host.guide(unconditional, conditional[chosen], scale)
                    )
                latents = scheduler.step(conditional, t, latents, **extra).prev_sample
                on_step()
        return Generated(host.decode(latents, size), prompts, self._attention(steering, requests, guided))

    @staticmethod
    def _rows(requests: Sequence[Request], guided: Sequence[int], evaluations: int) -> list[Row]:
        rows = [rows_of(r.params, r.liked, r.disliked, evaluations, r.round) for r in requests]
        last = [conditional if place in guided else single for place, (_, conditional, single) in enumerate(rows)]
        return [rows[place][0] for place in guided] + last

    @staticmethod
    def _step_arguments(scheduler: Any, requests: Sequence[Request]) -> dict[str, Any]:
        takes_generators = "generator" in inspect.signature(scheduler.step).parameters
        return {"generator": [generator_for("ancestral", r.seed) for r in requests]} if takes_generators else {}

    def _initial_latents(self, scheduler: Any, requests: Sequence[Request], size: tuple[int, int]) -> Tensor:
        host, factor = self.host, self.pipeline.vae_scale_factor
        shape = (host.channels, size[0] // factor, size[1] // factor)
        drawn = torch.stack([torch.randn(shape, generator=generator_for("latents", r.seed)) for r in requests])
        return host.scaled_noise(scheduler, host.pack(drawn.to(host.device, host.latent_dtype)))

    @staticmethod
    def _attention(
        steering: Steering, requests: Sequence[Request], guided: Sequence[int]
    ) -> list[dict[str, list[float]]]:
        """What each reference received; see `Generated.attention`."""
        owners = [*guided, *range(len(requests))]
        found: list[dict[str, list[float]]] = [{} for _ in requests]
        for step, received in enumerate(steering.received()):
            for row, shares in received.items():
                for name, share in shares.items():
                    its = found[owners[row]].setdefault(name, [0.0] * step)
                    its += [0.0] * (step - len(its)) + [share]
        return found
