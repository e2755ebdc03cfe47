"""Which of two is preferred, by choices that one may look at whenever one likes: e-values and confidence sequences.

A share of choices is far off now and then; who looks after every choice and stops when it is far off, finds a
difference where there is none. The e-value stays below 20 with 95 % over all looks together, so it may be looked at.

Notation:
    w: choices of the first, l: of the second, t = w + l; ties are left out.
    p: probability that the first is chosen, the same for every choice given those before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.special import betaln

from experiments.intervals import LEVEL

ENOUGH = 1 / (1 - LEVEL)
"""E-value at which a difference is shown: 20."""

_CLOSE = 1e-12  # to 0 and 1, where a share that was seen once is impossible


def e_value(wins: int, losses: int, p: float = 0.5) -> float:
    """How much more probable the choices are with any p, all alike probable, than with this one.

    `B(w + 1, l + 1) / (p^w (1 - p)^l)`, a likelihood ratio mixed over Beta(1, 1), that is `1 / ((t + 1) b(w; t, p))`
    with the binomial probability b (Robbins 1970, "Statistical methods related to the law of the iterated logarithm";
    a beta-binomial mixture in the words of Howard et al. 2021, arXiv 1810.08240). With p the true one it is a
    martingale that begins at 1, so it ever reaches 1 / a with probability a at most (Ville's inequality).

    Args:
        wins: w.
        losses: l.
        p: between 0 and 1.
    """
    return math.exp(min(700.0, _log_e_value(wins, losses, p)))


def confidence_sequence(wins: int, losses: int) -> tuple[float, float]:
    """All p whose e-value is below 20: at all times at once they hold the true one with 95 %.

    Args:
        wins: w.
        losses: l.

    Returns:
        The least and the greatest.
    """
    if not wins + losses:
        return 0.0, 1.0
    ends = _CLOSE, 1 - _CLOSE
    middle = min(max(wins / (wins + losses), ends[0]), ends[1])

    def beyond(p: float) -> float:
        return _log_e_value(wins, losses, p) - math.log(ENOUGH)

    low = brentq(beyond, ends[0], middle) if wins else 0.0
    high = brentq(beyond, middle, ends[1]) if losses else 1.0
    return float(low), float(high)


def greatest_e_value(signs: Sequence[int]) -> float:
    """The greatest e-value of p = 1/2 so far.

    Args:
        signs: 1, -1 or 0 of each choice for the first, the second or neither, in their order.
    """
    wins = losses = 0
    found = 1.0
    for sign in signs:
        wins, losses = wins + (sign > 0), losses + (sign < 0)
        found = max(found, e_value(wins, losses))
    return found


def _log_e_value(wins: int, losses: int, p: float) -> float:
    return float(betaln(wins + 1, losses + 1)) - wins * math.log(p) - losses * math.log1p(-p)
