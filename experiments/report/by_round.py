"""What a comparison's figures rest on, which is one round or all of them, and the same differences round by round."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.comparison.arms import Measured
from experiments.comparison.result import Comparison
from experiments.intervals import Difference, paired_difference


@dataclass(frozen=True)
class RoundDifferences:
    """What the first arm is better by than another, by the mean score of its images, paired by prompt.

    Attributes:
        rounds: one for each round, R.
        mean: of all rounds together.
    """

    rounds: list[Difference]
    mean: Difference


def rounds_of(found: Comparison) -> int:
    """R, how many rounds were played."""
    scored = next(iter(found.arms[0].scores.values()), None)
    return len(found.arms[0].pictures[0]) if scored is None else scored.shape[1]


def basis(found: Comparison) -> str:
    """What the figures of a comparison rest on, as in "in round 3, the last"."""
    count = rounds_of(found)
    if count == 1:
        return "in the only round"
    return {
        "last": f"in round {count}, the last",
        "best": f"by the best image of all {count} rounds",
        "all": f"on average over all {count} rounds",
    }[found.value]


def round_differences(found: Comparison, objective: str, other: Measured) -> RoundDifferences:
    """The first arm minus another, round by round.

    Args:
        found: the comparison.
        objective: name of it.
        other: arm of the comparison.
    """
    ours, theirs = (arm.scores[objective].mean(2) for arm in (found.arms[0], other))  # P x R
    rounds = [paired_difference(ours[:, r], theirs[:, r]) for r in range(ours.shape[1])]
    return RoundDifferences(rounds, paired_difference(ours.mean(1), theirs.mean(1)))


def mean_over_rounds(found: Comparison, name: str) -> Difference | None:
    """The first objective's difference to an arm over all rounds.

    None where that is what the comparison rests on already, or where the arm was not played (best-of-N).
    """
    other = next((arm for arm in found.arms if arm.arm.name == name), None)
    if other is None or found.value == "all" or rounds_of(found) == 1:
        return None
    return round_differences(found, next(iter(found.differences)), other).mean
