"""Verdicts on claims: paired differences over prompts, with Holm's correction for there being many.

Prompts are the unit, as in the paper: what is said holds for one model and its world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_rel

from experiments.intervals import Difference, paired_difference
from experiments.paper.arms import NONE, Kind, PaperArm
from experiments.paper.claims import Claim, ClaimSide, Record

_LEVEL = 0.05
Said = Literal["holds", "reversed", "undecided"]
Records = Callable[[Kind, PaperArm], Record]


@dataclass(frozen=True)
class ClaimVerdict:
    """What came of a claim.

    Attributes:
        claim: it.
        difference: of its first side from its second.
        p: probability of a difference as large if there were none, by Student's paired test, after Holm's correction.
        said: whether it holds, is reversed, or is undecided.
    """

    claim: Claim
    difference: Difference
    p: float
    said: Said


def verdicts(claims: Sequence[Claim], records: Records) -> list[ClaimVerdict]:
    """What comes of claims that are tried together.

    Args:
        claims: one or more.
        records: what arms came to.
    """
    pairs = [tuple(_values(side, records) for side in claim.sides) for claim in claims]
    corrected = holm([_p(*pair) for pair in pairs])
    differences = [paired_difference(*pair) for pair in pairs]
    return [
        ClaimVerdict(claim, difference, p, _said(claim, difference, p))
        for claim, difference, p in zip(claims, differences, corrected, strict=True)
    ]


def _values(side: ClaimSide, records: Records) -> NDArray[np.float64]:
    return side.statistic.of(records(side.kind, side.arm), records(side.kind, NONE))


def _p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Of Student's paired test; 1 where nothing differs, or where there is but one pair."""
    differences = first - second
    if len(differences) < 2 or np.ptp(differences) == 0:
        return 0.0 if len(differences) > 1 and differences[0] != 0 else 1.0
    return float(ttest_rel(first, second).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities after Holm's correction (1979): all claims that are called wrong together stay below the level.

    Args:
        values: of single tests, 0 to 1.
    """
    order = np.argsort(values)
    scaled = np.array(values)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()


def _said(claim: Claim, difference: Difference, p: float) -> Said:
    if p >= _LEVEL:
        return "undecided"
    return "holds" if claim.sign * difference.mean > 0 else "reversed"
