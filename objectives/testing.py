"""The contract of objectives as a test class for pytest.

Subclass `ObjectiveContract`, and let its `make` return the objective; pytest then runs every test of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from objectives.base import NEEDS, Context, Objective, check_needs
from objectives.scoring import score

_TOLERANCE = 1e-5


def sample_images(count: int, size: tuple[int, int] = (64, 64), seed: int = 0) -> list[Image.Image]:
    """Smooth random pictures.

    Args:
        count: how many.
        size: width and height.
        seed: of all of them.
    """
    noise = np.random.default_rng(seed).integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    return [Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC) for pixels in noise]


class ObjectiveContract:
    """What every objective keeps. `tolerance` is relative to the size of the scores."""

    tolerance = _TOLERANCE

    def make(self) -> Objective:
        """A new objective."""
        raise NotImplementedError

    def contexts(self, count: int) -> list[Context]:
        """A context for each image, with everything that any objective needs; two prompts take turns."""
        target, liked, disliked, baseline = sample_images(4, seed=1)
        prompts = ("a red star at night", "a blue ring")
        return [Context(prompts[k % 2], (target,), (liked,), (disliked,), baseline, group=k % 2) for k in range(count)]

    def _close(self, first: Sequence[float], second: Sequence[float]) -> None:
        assert list(first) == pytest.approx(list(second), rel=self.tolerance, abs=self.tolerance)

    def test_says_what_it_is(self) -> None:
        """Name, direction, bounds and needs are there and make sense."""
        objective = self.make()
        assert objective.name
        assert isinstance(objective.name, str)
        assert isinstance(objective.higher_is_better, bool)
        low, high = objective.bounds
        assert low < high
        assert objective.needs <= set(NEEDS)

    def test_gives_one_score_within_bounds_for_each_image(self) -> None:
        """Also for a single image, and none for none."""
        objective = self.make()
        low, high = objective.bounds
        for count in (5, 1):
            scores = score(objective, sample_images(count), self.contexts(count))
            assert len(scores) == count
            assert all(math.isfinite(value) for value in scores)
            assert all(low - self.tolerance <= value <= high + self.tolerance for value in scores)
        assert list(objective([], [])) == []

    def test_same_images_have_the_same_scores(self) -> None:
        """Twice in a row, and from a new objective."""
        images, contexts, objective = sample_images(4), self.contexts(4), self.make()
        first = score(objective, images, contexts)
        self._close(score(objective, images, contexts), first)
        self._close(score(self.make(), images, contexts), first)

    def test_order_does_not_matter(self) -> None:
        """Scores move with their images."""
        images, contexts, objective = sample_images(6), self.contexts(6), self.make()
        order = [3, 0, 5, 2, 1, 4]
        moved = score(objective, [images[k] for k in order], [contexts[k] for k in order])
        first = score(self.make(), images, contexts)
        self._close(moved, [first[k] for k in order])

    def test_the_split_into_batches_does_not_matter(self) -> None:
        """An objective of whole batches is split between groups only."""
        images, contexts = sample_images(6), self.contexts(6)
        together = score(self.make(), images, contexts)
        parts = [[0, 2, 4], [1, 3, 5]] if self.make().of_batch else [[0], [1, 2], [3, 4, 5]]
        apart = [math.nan] * len(images)
        for part in parts:
            found = score(self.make(), [images[k] for k in part], [contexts[k] for k in part])
            for place, value in zip(part, found, strict=True):
                apart[place] = value
        self._close(apart, together)

    def test_images_are_not_changed(self) -> None:
        """Not a pixel of them."""
        images = sample_images(3)
        before = [image.tobytes() for image in images]
        self.make()(images, self.contexts(3))
        assert [image.tobytes() for image in images] == before

    def test_a_missing_need_is_named_before_anything_is_scored(self) -> None:
        """The error says objective and need."""
        objective = self.make()
        if objective.needs:
            with pytest.raises(ValueError, match=r"needs .*which the context"):
                check_needs(objective, [Context()])

    @pytest.mark.parametrize("mode", ["RGBA", "L", "P", "LA", "1", "CMYK", "I;16"])
    def test_pictures_of_any_mode_are_scored(self, mode: str) -> None:
        """Transparent, grey, of a palette, of 16 bits."""
        image = sample_images(1)[0]
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image.convert("L"), dtype=np.uint16) * 257)
        else:
            image = image.convert(mode)
        assert math.isfinite(score(self.make(), [image], self.contexts(1))[0])

    @pytest.mark.parametrize("size", [(1, 1), (400, 8), (7, 300)])
    def test_pictures_of_any_size_are_scored(self, size: tuple[int, int]) -> None:
        """Tiny, wide and tall."""
        image = sample_images(1, size)[0]
        assert math.isfinite(score(self.make(), [image], self.contexts(1))[0])
