"""What a predictor of rich feedback says of a session's images, in the form in which people say it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from experiments.studio.session import StudioSession
from objectives.rahf.model import MAPS
from objectives.rahf.predictor import MISALIGNED, Predictor, RichPrediction
from objectives.richhf import MARKED, Heatmap

Point = tuple[float, float]

_SMALLEST = 0.002  # of the picture; smaller places are noise
_BROKEN = 0.5  # plausibility, 3 of 5, below which an image is flagged
_COLOURS = {"artifact": (220, 38, 38), "misalignment": (217, 159, 0)}
_STRONGEST = 210  # opacity of a map, of 255


class Predictions:
    """Predictions by image.

    Args:
        predictor: what is asked.
        session: whose images.
    """

    def __init__(self, predictor: Predictor, session: StudioSession) -> None:
        self.predictor = predictor
        self.session = session
        self._lock = threading.Lock()  # the model is one, the threads of a server are many

    def of(self, images: Sequence[str]) -> list[RichPrediction]:
        """What people would say of images that were shown.

        Raises:
            ValueError: an image was not.
        """
        shown = self.session.state.images
        if strange := [image for image in images if image not in shown]:
            raise ValueError(f"image: {strange[0]} was not shown; allowed: images of the rounds")
        pictures = [self.session.pictures.read(image) for image in images]
        with self._lock:
            return list(self.predictor(pictures, [shown[image].prompt for image in images]))

    def view(self, images: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Predictions in plain values, by image: scores of 1 to 5, points and words as a person would mark them."""
        return {image: _view(found) for image, found in zip(images, self.of(images), strict=True)}

    def overlay(self, image: str, kind: str) -> Image.Image:
        """A map as a picture in "RGBA" to lay over the image.

        Raises:
            ValueError: there is no such image or map.
        """
        if kind not in MAPS:
            raise ValueError(f"map: {kind} is unknown; allowed: {', '.join(MAPS)}")
        (found,) = self.of([image])
        values = found.artifact_map if kind == "artifact" else found.misalignment_map
        layers = [np.full(values.shape, part, dtype=np.uint8) for part in _COLOURS[kind]]
        opacity = (_STRONGEST * values.clip(0, 1)).round().astype(np.uint8)
        return Image.fromarray(np.dstack([*layers, opacity]))


def _view(found: RichPrediction) -> dict[str, Any]:
    return {
        "scores": {name: round(1 + 4 * score, 2) for name, score in found.scores.items()},
        "artifact_points": points_of(found.artifact_map),
        "misalignment_points": points_of(found.misalignment_map),
        "misaligned_words": [place for place, share in enumerate(found.misaligned) if share > MISALIGNED],
        "broken": found.scores["plausibility"] < _BROKEN,
    }


def points_of(heatmap: Heatmap) -> list[Point]:
    """A point in each marked place of a map, where it is marked most; x and y from 0 to 1."""
    parts, count = ndimage.label(heatmap > MARKED)
    points = list[Point]()
    for part in range(1, count + 1):
        inside = parts == part
        if inside.mean() >= _SMALLEST:
            row, column = np.unravel_index(np.where(inside, heatmap, -1.0).argmax(), heatmap.shape)
            height, width = heatmap.shape
            points.append((round((int(column) + 0.5) / width, 3), round((int(row) + 0.5) / height, 3)))
    return points
