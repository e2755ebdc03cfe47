"""The interval of a mean, and of a mean of paired differences: Student's t, everywhere in this program.

With 8 to 32 pairs Student's t holds the truth in 90 to 96 % of cases, bootstrap intervals (BCa) in 83 to 94 %:
resampling a few values underestimates how far their mean can be off. A test measures it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

LEVEL = 0.95
"""Confidence of all intervals."""


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences.

    Attributes:
        mean: of first minus second.
        low: lower end of the 95 % interval; NaN where one pair gives none.
        high: upper end; likewise.
        wins: share of pairs in which the first is better; ties count half.
        pairs: how many.
    """

    mean: float
    low: float
    high: float
    wins: float
    pairs: int

    @property
    def interval(self) -> str:
        """Both ends in words."""
        return "no interval" if math.isnan(self.low) else f"{self.low:+.3f} to {self.high:+.3f}"

    @property
    def verb(self) -> str:
        """What the first does to the second, as far as it is shown."""
        return "beats" if self.low > 0 else "loses to" if self.high < 0 else "is not shown to differ from"

    def __str__(self) -> str:
        ends = "no interval" if math.isnan(self.low) else f"{self.low:+.3f}, {self.high:+.3f}"
        return f"{self.mean:+.3f} [{ends}]"


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of independent values with its 95 % confidence interval (Student 1908).

    Args:
        values: N of them.

    Returns:
        Mean, lower and upper end; the ends are NaN where N is 1.

    Raises:
        ValueError: no values, or not one dimension.
    """
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values of shape {values.shape}; allowed: one or more, of one dimension")
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.nan, math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * error
    return mean, mean - half, mean + half


def paired_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    """Mean of `first - second` with its 95 % interval; see `mean_interval`.

    Args:
        first: N values, higher is better.
        second: N values of the same prompts and seeds.

    Raises:
        ValueError: the numbers of values differ.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"shapes {first.shape} and {second.shape}; allowed: two equal ones of one dimension")
    differences = first - second
    wins = float((differences > 0).mean() + 0.5 * (differences == 0).mean())
    return Difference(*mean_interval(differences), wins, len(differences))
