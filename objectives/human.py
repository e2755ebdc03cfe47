"""Several people's ratings of images as noisy observations."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
