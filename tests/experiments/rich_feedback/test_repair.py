"""Repairs by a predictor whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.rich_feedback.repair import Repairer, RepairSettings, mask_of
from fabric.images import FeedbackImage
from fabric.models import load
from fabric.params import FabricParams
from objectives.rahf.predictor import RichPrediction
from objectives.richhf import SCORES, Heatmap
from objectives.testing import sample_images

PARAMS = FabricParams(guidance_scale=4.0)


class Known:
    """Marks a square of every picture; how plausible a picture is, is how dark it is there, or the other way round.

    Args:
        side: of the square, of 64 pixels.
        sign: 1 where dark is plausible, -1 where bright is, 0 where all are equally plausible.
    """

    def __init__(self, side: int, sign: int = 1) -> None:
        self.map = np.zeros((64, 64))
        self.map[8 : 8 + side, 8 : 8 + side] = 0.9
        self.sign = sign

    def __call__(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[RichPrediction]:
        return [
            RichPrediction(dict.fromkeys(SCORES, self.plausibility(image)), self.map, self.map, ()) for image in images
        ]

    def plausibility(self, image: Image.Image) -> float:
        brightness = np.asarray(image.convert("L"), dtype=float)[8:24, 8:24].mean() / 255
        return 0.5 - 0.5 * self.sign * float(brightness)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_most_plausible_filling_is_kept_and_the_rest_is_as_it_was(sign: int) -> None:
    worst = Image.new("RGB", (64, 64), "white" if sign > 0 else "black")
    known = Known(16, sign)
    settings = RepairSettings(fillings=3, steps=4, grow=0)
    found = Repairer(load(device="cpu"), known, settings)(worst, "a red star at night", PARAMS)
    assert found.before == known.plausibility(worst) < found.after == known.plausibility(found.picture)
    assert found.marked == pytest.approx(16**2 / 64**2)
    changed = np.abs(np.asarray(found.picture, dtype=int) - np.asarray(worst, dtype=int)).max(axis=2)
    assert changed[10:22, 10:22].mean() > 10
    outside = np.ones((64, 64), dtype=bool)
    outside[4:28, 4:28] = False
    assert changed[outside].max() == 0


def test_nothing_marked_and_nothing_better_leave_the_picture() -> None:
    (picture,) = sample_images(1)
    pipeline, settings = load(device="cpu"), RepairSettings(fillings=2, steps=2)
    for predictor in (Known(0), Known(16, 0)):
        found = Repairer(pipeline, predictor, settings)(picture, "a red star", PARAMS)
        assert found.picture is picture
        assert found.before == found.after


def test_fillings_depend_on_the_seed_and_on_feedback_and_the_pipeline_stays_as_it_was() -> None:
    pipeline = load(device="cpu")
    processors = dict(pipeline.unet.attn_processors)
    repairer = Repairer(pipeline, Known(32), RepairSettings(fillings=1, steps=3))
    white = Image.new("RGB", (64, 64), "white")
    liked = [FeedbackImage(sample_images(1, seed=5)[0])]
    first, again = (repairer(white, "a red star", PARAMS).picture for _ in range(2))
    other = repairer(white, "a red star", PARAMS, seed=1).picture
    steered = repairer(white, "a red star", PARAMS, liked=liked).picture
    assert first == again
    assert len({picture.tobytes() for picture in (first, other, steered)}) == 3
    assert pipeline.unet.attn_processors == processors


def test_pictures_of_any_size_keep_it() -> None:
    picture = Image.new("RGB", (70, 45), "white")
    found = Repairer(load(device="cpu"), Known(32), RepairSettings(fillings=1, steps=2))(picture, "a ring", PARAMS)
    assert found.picture.size == found.mask.size == (70, 45)


def test_masks_hold_what_is_above_the_threshold_grown_on_all_sides() -> None:
    heatmap: Heatmap = np.zeros((20, 20))
    heatmap[10, 10], heatmap[2, 2] = 0.8, 0.3
    assert np.argwhere(np.asarray(mask_of(heatmap, (20, 20), 0.4, 0))).tolist() == [[10, 10]]
    grown = np.asarray(mask_of(heatmap, (20, 20), 0.4, 0.1)) > 0
    y, x = np.mgrid[:20, :20]
    np.testing.assert_array_equal(grown, (x - 10) ** 2 + (y - 10) ** 2 <= 4)
    assert mask_of(heatmap, (40, 60), 0.4, 0).size == (40, 60)


@pytest.mark.parametrize(
    ("name", "value"), [("threshold", 1.5), ("grow", -0.1), ("fillings", 0), ("strength", 0.0), ("steps", 0)]
)
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}: .* is out of range; allowed: "):
        RepairSettings(**{name: value})
