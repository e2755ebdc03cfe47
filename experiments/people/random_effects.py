"""The mean of what several people said of several prompts, with an interval for other people and other prompts.

`y = mean + effect of the prompt + effect of the rater + rest`, crossed random effects: every rater may have answered to
every prompt. Many answers of few people to few prompts say less than their number.

Notation:
    N: answers, A: prompts, B: raters; N_a, N_b: answers to a prompt, of a rater; N_ab: of a rater to a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from experiments.intervals import LEVEL

_TIGHTEST = 50  # answers at which the interval that may be looked at is least wider than one that may not


class Components(NamedTuple):
    """Variances of effects.

    Attributes:
        prompt: between prompts; 0 where there is one.
        rater: between raters; 0 where there is one.
        rest: of what is left.
    """

    prompt: float
    rater: float
    rest: float


class CrossedMean(NamedTuple):
    """A mean of answers.

    Attributes:
        mean: over all answers.
        low: lower end of the 95 % interval; NaN where nothing tells how far the mean is off.
        high: upper end; likewise.
        components: variances of the effects.
    """

    mean: float
    low: float
    high: float
    components: Components


def components(values: NDArray[np.float64], prompts: Sequence[object], raters: Sequence[object]) -> Components:
    """Variances of the effects, by moments: unbiased but for being cut off at 0.

    Sums of squares within prompts, within raters and over all answers are set to what is expected of them (Gao and Owen
    2017, "Efficient moment calculations for variance components in large unbalanced crossed random effects models",
    here with several answers of a rater to a prompt).

    Args:
        values: N.
        prompts: N names.
        raters: N names.
    """
    table = _table(prompts, raters)
    N, by_prompt, by_rater = table.sum(), table.sum(1), table.sum(0)
    squares = [_within(values, prompts), _within(values, raters), float(((values - values.mean()) ** 2).sum())]
    expected = [
        [0, N - (table**2 / by_prompt[:, None]).sum(), N - len(by_prompt)],
        [N - (table**2 / by_rater).sum(), 0, N - len(by_rater)],
        [N - (by_prompt**2).sum() / N, N - (by_rater**2).sum() / N, N - 1],
    ]
    found, *_ = np.linalg.lstsq(np.array(expected), np.array(squares), rcond=None)
    return Components(*(max(0.0, float(variance)) for variance in found))


def crossed_mean(values: NDArray[np.float64], prompts: Sequence[object], raters: Sequence[object]) -> CrossedMean:
    """Mean of answers with a 95 % interval that holds for other prompts and other raters of their kind.

    The standard error has the variances of both effects, and degrees of freedom after Satterthwaite (1946): those of
    the prompts, the raters and the rest. One prompt or one rater says nothing of others, so then the interval is of
    that one. Whoever stops when he likes what he sees gets intervals that miss too often, so this one is as wide as a
    Gaussian mixture makes it for all times at once (Waudby-Smith et al. 2024, arXiv 2103.06476, theorem 2.2): half
    again as wide.

    Args:
        values: N, one or more.
        prompts: N names.
        raters: N names.
    """
    mean, found = float(values.mean()), components(values, prompts, raters)
    table = _table(prompts, raters)
    N, (A, B) = len(values), table.shape
    parts = np.array(
        [
            found.prompt * (table.sum(1) ** 2).sum() / N**2,
            found.rater * (table.sum(0) ** 2).sum() / N**2,
            found.rest / N,
        ]
    )
    freedom = np.array([max(1, A - 1), max(1, B - 1), max(1, N - A - B + 1)])
    variance = float(parts.sum())
    if N < 2 or not variance:
        return CrossedMean(mean, math.nan, math.nan, found)
    degrees = variance**2 / float((parts**2 / freedom).sum())
    wider = float(stdtrit(degrees, (1 + LEVEL) / 2) / ndtri((1 + LEVEL) / 2))
    half = _at_all_times(N) * wider * math.sqrt(variance)
    return CrossedMean(mean, mean - half, mean + half, found)


def _at_all_times(count: int) -> float:
    """Standard errors that a mean is within at all numbers of answers at once, with 95 %."""
    alpha = 1 - LEVEL
    logarithm = -2 * math.log(alpha)
    rho = _TIGHTEST / (logarithm + math.log(1 + logarithm))  # Howard et al. 2021, arXiv 1810.08240, section 3.5
    return math.sqrt((1 + rho / count) * math.log((count + rho) / (rho * alpha**2)))


def _table(prompts: Sequence[object], raters: Sequence[object]) -> NDArray[np.float64]:
    """N_ab, A x B."""
    rows, columns = (list(dict.fromkeys(names)) for names in (prompts, raters))
    table = np.zeros((len(rows), len(columns)))
    for prompt, rater in zip(prompts, raters, strict=True):
        table[rows.index(prompt), columns.index(rater)] += 1
    return table


def _within(values: NDArray[np.float64], names: Sequence[object]) -> float:
    """Sum of squares about the mean of each name."""
    places = np.unique(np.array([str(name) for name in names]), return_inverse=True)[1]
    means = np.bincount(places, values) / np.bincount(places)
    return float(((values - means[places]) ** 2).sum())
