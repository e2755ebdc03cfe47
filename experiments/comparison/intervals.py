"""Paired comparisons: what one arm is better by than another on the same prompts and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_RESAMPLES = 9999


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences.

    Attributes:
        mean: of first minus second.
        low: lower end of the 95 % interval.
        high: upper end.
        wins: share of pairs in which the first is better; ties count half.
        pairs: how many.
    """

    mean: float
    low: float
    high: float
    wins: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    """Mean of `first - second` with its 95 % bootstrap interval (bias-corrected and accelerated, Efron 1987).

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
    mean = float(differences.mean())
    if len(differences) < 2 or np.ptp(differences) == 0:  # nothing to resample
        return Difference(mean, mean, mean, wins, len(differences))
    interval = stats.bootstrap(
        (differences,), np.mean, n_resamples=_RESAMPLES, rng=np.random.default_rng(0), method="BCa"
    ).confidence_interval
    return Difference(mean, float(interval.low), float(interval.high), wins, len(differences))
