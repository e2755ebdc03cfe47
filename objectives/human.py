"""Ratings of images by people: as an objective, and as noisy observations.

Others keep the ratings and ask people for them; see `experiments.people`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL.Image import Image

from objectives.base import Context, Objective, UnratedError

STARS = (1, 5)
"""The worst and the best rating."""


class Ratings(Protocol):
    """What people think of images."""

    def mean(self, image: Image, prompt: str) -> float:
        """What people think of an image that was asked for with a prompt, on the scale of `STARS`.

        Raises:
            UnratedError: too few have rated it; they are asked from now on.
        """


class HumanRating(Objective):
    """The mean rating of an image by people, from 1 to 5. Equal images of equal prompts are rated once.

    Args:
        name: of the objective.
        ratings: gives the ratings at the time when an image is scored; None where nobody can be asked.
    """

    bounds = (float(STARS[0]), float(STARS[1]))
    needs = frozenset({"prompt"})
    asks_people = True

    def __init__(self, name: str, ratings: Callable[[], Ratings | None]) -> None:
        self.name = name
        self.ratings = ratings

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`.

        Raises:
            UnratedError: some are not rated yet; people are asked for all of them.
            ValueError: nobody can be asked.
        """
        ratings = self.ratings()
        if ratings is None:
            raise ValueError(f"objective: {self.name} asks people; allowed: in fabric-bo optimize and compare")
        scores, missing = list[float](), list[str]()
        for image, context in zip(images, contexts, strict=True):
            try:
                scores.append(ratings.mean(image, context.prompt or ""))
            except UnratedError as awaited:
                missing += awaited.items
        if missing:
            raise UnratedError(self.name, tuple(missing))
        return scores


@dataclass(frozen=True)
class MeanRating:
    """What the raters of one image say together.

    Attributes:
        mean: of their ratings, each as `(rating - 1) / 4`; 0 to 1.
        standard_error: of the mean, known to the optimiser as noise.
        count: of raters.
    """

    mean: float
    standard_error: float
    count: int


def mean_ratings(ratings: Mapping[str, Sequence[int]], *, spread: float = 0.2) -> dict[str, MeanRating]:
    """Means of ratings with their standard errors, by image.

    The spread between raters of one image is pooled over all images (too few rate each to know it singly), starting
    from `spread` with the weight of two ratings; so a single rating has a standard error too.

    Args:
        ratings: by image, from 1 (worst) to 5, one of each of its raters and at least one.
        spread: standard deviation of one rating as `(rating - 1) / 4`, as long as there is nothing to learn it from.
    """
    standardised = {image: [(rating - 1) / 4 for rating in given] for image, given in ratings.items()}
    squares = math.fsum(len(values) * statistics.pvariance(values) for values in standardised.values())
    freedom = sum(len(values) - 1 for values in standardised.values())
    pooled = math.sqrt((2 * spread**2 + squares) / (2 + freedom))
    return {
        image: MeanRating(statistics.fmean(values), pooled / math.sqrt(len(values)), len(values))
        for image, values in standardised.items()
    }
