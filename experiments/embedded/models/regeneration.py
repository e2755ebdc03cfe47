"""A part of a picture made anew by the shipped generator: faults of the generator's own kind, with their maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from torch import Tensor

from experiments.embedded.world.scenes.render import pixels
from experiments.embedded.world.world import SIDE

_STEPS = 12  # of a whole denoising, of which a part is done
_SHARES = (0.4, 0.9)  # of the denoising
_GUIDANCE = (8.0, 20.0)
_HALVES = (9.0, 18.0)  # of the window, in pixels


class Regeneration:
    """Noises a window of pictures and denoises it, in few steps at a guidance that is too high.

    Args:
        pipeline: the generator of the pictures' world.
    """

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        self.pipeline = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
        self.pipeline.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def __call__(
        self, pictures: Tensor, captions: Sequence[str], strength: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Makes a window of each picture anew.

        Args:
            pictures: B x 3 x S x S in [0, 1].
            captions: of them.
            strength: B in (0, 1], how large the window is; all of a batch are noised by the mean.
            generator: the source of randomness.
        """
        mean = float(strength.mean())
        low, high = _GUIDANCE
        images = self.pipeline(
            list(captions),
            image=pictures,
            strength=_SHARES[0] + (_SHARES[1] - _SHARES[0]) * mean,
            num_inference_steps=_STEPS,
            guidance_scale=low + (high - low) * mean,
            generator=generator,
            output_type="pt",
        ).images
        return torch.lerp(pictures, images.float(), _windows(strength, generator)[:, None])


def _windows(strength: Tensor, generator: torch.Generator) -> Tensor:
    """Soft discs somewhere in the picture, B x S x S."""
    x, y = pixels()
    centres = (0.2 + 0.6 * torch.rand(2, len(strength), 1, 1, generator=generator)) * SIDE
    radius = (_HALVES[0] + (_HALVES[1] - _HALVES[0]) * strength)[:, None, None]
    return ((radius - torch.hypot(x - centres[0], y - centres[1])) / 3).clamp(0, 1)
