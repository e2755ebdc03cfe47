"""Trials that were all scored on the same prompts: what each is worth, and how surely.

Scores are taken as `y_tp = trial_t + prompt_p + noise`. Prompts differ far more than settings do, and that part is
common to all trials, so it belongs neither into a trial's value nor into its noise.

Notation:
    T: trials, P: prompts; a trial that was stopped early has seen only some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = Mapping[str, float]
"""Score of one trial by the name of a prompt, higher is better or lower, as the study counts."""


def effects(scores: Sequence[Scores]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each trial's value and the variance of its noise.

    A trial that saw all prompts has the mean of its scores; one that saw some has what the mean would be, were it as
    much better than the others on the rest. The noise is pooled over all trials.

    Args:
        scores: of T trials, each of at least one prompt; some trial has seen all prompts that any has.

    Returns:
        T values and T variances.

    Raises:
        ValueError: a trial without scores, or none that saw all prompts.
    """
    names = sorted(set().union(*scores))
    table = np.array([[one.get(name, np.nan) for name in names] for one in scores], dtype=np.float64)
    seen = ~np.isnan(table)
    if not seen.any(axis=1).all():
        raise ValueError("scores: a trial has none; allowed: one or more prompts")
    whole = seen.all(axis=1)
    if not whole.any():
        raise ValueError(f"scores: no trial has all {len(names)} prompts; allowed: one or more")
    prompts = table[whole].mean(axis=0)
    values = np.nanmean(table - prompts, axis=1) + prompts.mean()
    counts = seen.sum(axis=1)
    return values, _noise(table[whole], prompts) / counts


def _noise(table: NDArray[np.float64], prompts: NDArray[np.float64]) -> float:
    """Variance of one score, from trials that saw all prompts."""
    trials, count = table.shape
    if trials == 1 or count == 1:  # no pairs yet: prompts' own differences are the best guess, and too much
        return float(table.var(ddof=1)) if table.size > 1 else 0.0
    residuals = table - prompts - (table.mean(axis=1, keepdims=True) - prompts.mean())
    return float((residuals**2).sum() / ((trials - 1) * (count - 1)))
