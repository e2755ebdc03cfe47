"""What images will look like, seen while they are denoised: the model's guess of the latents, as colours.

A small picture is nearly a linear map of the latents; the known factors of Stable Diffusion's codec are one such map.
Here it is fitted, so that there is one for any model: at first to what the codec makes of flat latents, later to the
images of the batch before.

Notation:
    B: images of a batch, c: channels of the latents, h, w: their height and width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from fabric.generator import FabricGenerator, Request
from fabric.images import to_pictures
from fabric.seeding import generator_for

_FLAT, _SIDE = 16, 8  # flat latents that the first map is fitted to, and their height and width


class Previews:
    """Pictures of the batch that is being made. One thread makes it, any other may look.

    Args:
        fabric: the generator that is watched.
    """

    def __init__(self, fabric: FabricGenerator) -> None:
        self.fabric = fabric
        self._colours: Tensor | None = None
        self._call: tuple[float, Tensor, Tensor] | None = None  # timestep, sample and answer of the last call
        self._step: tuple[float, Tensor, Tensor] | None = None  # those of the last whole step
        self._guidance: list[float] = []

    @contextmanager
    def watching(self, requests: Sequence[Request]) -> Iterator[None]:
        """Within, steps of these requests can be seen."""
        if self._colours is None:
            self._colours = _first_colours(self.fabric)
        self._guidance = [request.params.guidance_scale for request in requests]
        self._call = self._step = None
        hook = self.fabric.host.model.register_forward_hook(self._called, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()
            self._guidance = []
            self._call = self._step = None

    def keep(self) -> None:
        """Takes the last call for that of the step which has just been done."""
        self._step = self._call

    def learn(self, images: Tensor) -> None:
        """Fits the map to a batch that was made, B x 3 x H x W in [-1, 1]; its last step is the one that was kept."""
        if (guess := self._guess()) is not None:
            self._colours = _fitted(guess, images)

    @property
    def count(self) -> int:
        """Images of the batch that is being made."""
        return len(self._guidance)

    def pictures(self) -> list[Image.Image]:
        """The batch as it is expected to become, one small picture for each image.

        None are there before the first step, of a scheduler that does not say how noise and image are mixed, and of a
        batch that was made in parts because memory did not suffice.
        """
        guess, colours = self._guess(), self._colours
        if guess is None or colours is None:
            return []
        return to_pictures(torch.einsum("bchw,ck->bkhw", _with_one(guess), colours))

    def _guess(self) -> Tensor | None:
        step, guidance = self._step, self._guidance
        guess = None if step is None else _denoised(self.fabric.pipeline.scheduler, *step, guidance)
        return None if guess is None else guess.float().cpu()

    def _called(self, module: object, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        told = {**dict(zip(("sample", "timestep"), args, strict=False)), **kwargs}  # U-Nets are told these by place
        sample, timestep = told[self.fabric.host.sample], torch.as_tensor(told["timestep"]).flatten()[0]
        # A model that predicts variances as well gives them after the noise.
        self._call = float(timestep), sample.detach(), answer[0][:, : sample.shape[1]].detach()


def _denoised(scheduler: Any, timestep: float, sample: Tensor, answer: Tensor, guidance: list[float]) -> Tensor | None:
    """The latents without noise that a call of the model speaks of, B x c x h x w; None where that is not known."""
    mixed = getattr(scheduler, "alphas_cumprod", None)
    guided = [place for place, scale in enumerate(guidance) if scale > 1]
    if mixed is None or len(sample) != len(guided) + len(guidance):
        return None
    scales = torch.tensor([guidance[place] for place in guided], dtype=answer.dtype, device=answer.device)
    unconditional, predicted = answer.split([len(guided), len(guidance)])
    if guided:
        towards = scales[:, None, None, None] * (predicted[guided] - unconditional)
        predicted = predicted.index_copy(0, torch.tensor(guided, device=answer.device), unconditional + towards)
    alpha = mixed[round(timestep)].to(answer)
    image, noise = alpha.sqrt(), (1 - alpha).sqrt()
    noisy = sample[len(guided) :]
    match scheduler.config.prediction_type:
        case "epsilon":
            return (noisy - noise * predicted) / image
        case "v_prediction":
            return image * noisy - noise * predicted
        case "sample":
            return predicted
    return None


@torch.no_grad()
def _first_colours(fabric: FabricGenerator) -> Tensor:
    """The map that serves before there is any image."""
    host, draw = fabric.host, generator_for("preview")
    flat = torch.randn(_FLAT, host.codec_channels, 1, 1, generator=draw).expand(-1, -1, _SIDE, _SIDE)
    return _fitted(flat, host.images(flat.to(host.device, fabric.pipeline.vae.dtype)))


def _fitted(latents: Tensor, images: Tensor) -> Tensor:
    """The linear map of latents to colours that serves these images best, (c + 1) x 3; its last row is added."""
    height, width = latents.shape[-2:]
    rows = _with_one(latents).movedim(1, -1).flatten(0, -2)
    colours = adaptive_avg_pool2d(images, (height, width)).movedim(1, -1).flatten(0, -2)
    return torch.linalg.lstsq(rows, colours).solution


def _with_one(latents: Tensor) -> Tensor:
    """Latents with a channel of ones."""
    return torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)
