"""Repairs pictures: what is predicted to be faulty is filled anew (Liang et al. 2024, arXiv 2312.10240, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoPipelineForInpainting
from PIL import Image, ImageFilter

from fabric.encoding import Pipeline
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.steering import feedback
from objectives.rahf.predictor import Predictor
from objectives.richhf import MARKED, Heatmap, marked_places

_MULTIPLE = 8  # sides that pipelines take, in pixels


@dataclass(frozen=True)
class RepairSettings:
    """How to repair.

    Attributes:
        threshold: predicted share of people who would mark a place, above which it is filled anew; 0 to 1.
        grow: by how much what is marked grows on all sides, as a share of the picture's height.
        fillings: that are tried, of which the most plausible one is kept; 1 or more.
        strength: how much of what was there is forgotten, above 0 to 1. Half of it leaves enough to tell what the place
            should show, on the embedded model.
        steps: denoising steps.
    """

    threshold: float = MARKED
    grow: float = 0.03
    fillings: int = 4
    strength: float = 0.5
    steps: int = 20

    def __post_init__(self) -> None:
        ranges = {"threshold": (0, 1), "grow": (0, 1), "fillings": (1, 64), "strength": (0.05, 1), "steps": (1, 1000)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}: {getattr(self, name):g} is out of range; allowed: {low:g} to {high:g}")


@dataclass(frozen=True)
class Repair:
    """What came of a picture.

    Attributes:
        picture: the repaired one, or the given one where nothing was marked or no filling is more plausible.
        mask: what was filled, white.
        before: predicted plausibility, 0 to 1.
        after: likewise, of `picture`.
    """

    picture: Image.Image
    mask: Image.Image
    before: float
    after: float

    @property
    def marked(self) -> float:
        """Share of the picture that was marked."""
        return float(np.asarray(self.mask).mean() / 255)


class Repairer:
    """Fills what is predicted to be faulty.

    Args:
        pipeline: a text-to-image pipeline, whose parts fill.
        predictor: says where a picture is faulty, and which filling is the most plausible one.
        settings: how.
    """

    def __init__(self, pipeline: Pipeline, predictor: Predictor, settings: RepairSettings) -> None:
        self.pipeline = AutoPipelineForInpainting.from_pipe(pipeline)
        self.pipeline.set_progress_bar_config(disable=True)
        self.predictor = predictor
        self.settings = settings

    def __call__(
        self,
        picture: Image.Image,
        prompt: str,
        params: FabricParams,
        seed: int = 0,
        liked: Sequence[FeedbackImage] = (),
        disliked: Sequence[FeedbackImage] = (),
    ) -> Repair:
        """Repairs a picture.

        Args:
            picture: in RGB.
            prompt: what it shows.
            params: FABRIC's settings, of which the guidance counts without feedback too.
            seed: of the fillings.
            liked: pictures that fillings come closer to.
            disliked: pictures that they keep away from.
        """
        (found,) = self.predictor([picture], [prompt])
        mask = mask_of(found.artifact_map, picture.size, self.settings.threshold, self.settings.grow)
        before = found.scores["plausibility"]
        if mask.getbbox() is None:
            return Repair(picture, mask, before, before)
        filled = self._fill(picture, mask, prompt, params, seed, liked, disliked)
        predicted = self.predictor(filled, [prompt] * len(filled))
        best = max(range(len(filled)), key=lambda place: predicted[place].scores["plausibility"])
        after = predicted[best].scores["plausibility"]
        return Repair(filled[best], mask, before, after) if after > before else Repair(picture, mask, before, before)

    def _fill(
        self,
        picture: Image.Image,
        mask: Image.Image,
        prompt: str,
        params: FabricParams,
        seed: int,
        liked: Sequence[FeedbackImage],
        disliked: Sequence[FeedbackImage],
    ) -> list[Image.Image]:
        """The picture with its marked places filled in several ways; all other pixels are its own."""
        width, height = (max(_MULTIPLE, side // _MULTIPLE * _MULTIPLE) for side in picture.size)
        count = self.settings.fillings
        with torch.no_grad(), feedback(self.pipeline, params, liked=liked, disliked=disliked):
            images = self.pipeline(
                [prompt] * count,
                image=picture.resize((width, height)),
                mask_image=mask.resize((width, height)),
                width=width,
                height=height,
                strength=self.settings.strength,
                num_inference_steps=self.settings.steps,
                guidance_scale=params.guidance_scale,
                generator=[generator_for(seed, "filling", place) for place in range(count)],
            ).images
        # A pixel or two of the edge are mixed, so that no seam shows.
        soft = mask.filter(ImageFilter.GaussianBlur(max(1.0, picture.height / 128)))
        return [Image.composite(image.resize(picture.size), picture, soft) for image in images]


def mask_of(heatmap: Heatmap, size: tuple[int, int], threshold: float, grow: float) -> Image.Image:
    """What is to be filled.

    Args:
        heatmap: H x H from 0 to 1.
        size: width and height of the mask.
        threshold: above which a place is marked.
        grow: on all sides, as a share of the height.

    Returns:
        A picture in "L", white where it is marked.
    """
    marked = marked_places(heatmap, threshold, grow)
    return Image.fromarray(marked.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
