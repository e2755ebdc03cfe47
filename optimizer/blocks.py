"""Common random numbers: trials that were all scored in the same blocks, and how good each is over all of them.

A block is what scores of all trials have in common: a seed, an instance, a fold of the data. Scores are taken as
`y_tb = trial_t + block_b + noise`, the randomised block design of two-way analysis of variance without replication.
Blocks differ far more than trials do, and that part is common to all trials, so it belongs neither into a trial's value
nor into its noise.

Notation:
    T: trials, B: blocks; a trial that was stopped early has only some of them, one that was replicated has more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_TURNS, _SETTLED = 1000, 1e-10
Scores = Mapping[str, float]
"""Score of one trial by the name of a block, higher is better or lower, as the study counts."""


def effects(scores: Sequence[Scores]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each trial's value and the variance of its noise.

    A trial that has all blocks has the mean of its scores; one that has some gets what the mean would be, were it as
    much better than the others on the rest. The noise is pooled over all trials.

    Args:
        scores: of T trials, each of at least one block; NaN counts as no score.

    Returns:
        T values and T variances.

    Raises:
        ValueError: scores: a trial has none.
    """
    names = sorted(set().union(*scores))
    table = np.array([[trial.get(name, np.nan) for name in names] for trial in scores], dtype=np.float64)
    observed = ~np.isnan(table)
    if not observed.any(axis=1).all():
        raise ValueError("scores: a trial has none; allowed: one or more blocks")
    table, observed = table[:, observed.any(axis=0)], observed[:, observed.any(axis=0)]
    if observed.all():
        block_means = table.mean(axis=0)
        noise = _noise(table, block_means)
    else:
        block_means, noise = _least_squares(table, observed)
    values = np.nanmean(table - block_means, axis=1) + block_means.mean()
    return values, noise / observed.sum(axis=1)


def _least_squares(table: NDArray[np.float64], observed: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """What blocks are worth where some trials lack some of them, and the variance of one score.

    The least squares of trial plus block over the scores that there are, by turns (Gauss-Seidel). Blocks that no trial
    has in common cannot be compared: then what is told apart least stays as it began, with the means of the blocks.
    """
    blocks = np.nanmean(table, axis=0)
    for _ in range(_TURNS):
        trials = np.nanmean(table - blocks, axis=1, keepdims=True)
        before, blocks = blocks, np.nanmean(table - trials, axis=0)
        if np.abs(blocks - before).max() < _SETTLED * (1 + np.abs(blocks).max()):
            break
    residuals = table - blocks - np.nanmean(table - blocks, axis=1, keepdims=True)
    free = int(observed.sum()) - sum(table.shape) + 1
    return blocks, float(np.nansum(residuals**2) / free if free > 0 else np.nanvar(table))


def _noise(table: NDArray[np.float64], block_means: NDArray[np.float64]) -> float:
    """Variance of one score, from trials that have all blocks."""
    trials, blocks = table.shape
    if trials == 1 or blocks == 1:  # no pairs yet: the blocks' own differences are the best guess, and too much
        return float(table.var(ddof=1)) if table.size > 1 else 0.0
    residuals = table - block_means - (table.mean(axis=1, keepdims=True) - block_means.mean())
    return float((residuals**2).sum() / ((trials - 1) * (blocks - 1)))
