"""Which of two arms people prefer: whether it is shown, and how far one can be sure of it among other people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from experiments.people.random_effects import crossed_mean
from experiments.people.sequential import ENOUGH, confidence_sequence, greatest_e_value


class Answer(NamedTuple):
    """What somebody said of a pair.

    Attributes:
        share: 1 for the first arm, 0 for the second, 1/2 for a tie.
        prompt: of the pair.
        rater: who.
    """

    share: float
    prompt: str
    rater: str


@dataclass(frozen=True)
class ArmPreference:
    """What people prefer of two arms.

    Attributes:
        first: name of an arm.
        second: of the other.
        wins: pairs of which most people chose the first arm's image.
        losses: likewise of the second.
        ties: pairs that are undecided.
        equal: pairs of equal images, of which nobody was asked.
        most: pairs that people would have been asked about.
        evidence: the greatest e-value of "in every pair both are alike probable"; 20 is enough.
        low: lower end of the 95 % confidence sequence of the share of decided pairs that the first wins.
        high: upper end.
        share: mean of all answers, ties half.
        share_low: lower end of its 95 % interval for other people and prompts.
        share_high: upper end.
        prompts: how many.
        raters: how many.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    equal: int
    most: int
    evidence: float
    low: float
    high: float
    share: float
    share_low: float
    share_high: float
    prompts: int
    raters: int

    @property
    def is_shown(self) -> bool:
        """Whether one of the two is preferred, by choices that were looked at all the time."""
        return self.evidence >= ENOUGH

    @property
    def verdict(self) -> str:
        """One sentence with numbers."""
        word = "is not shown to differ from"
        if self.is_shown:
            word = "is preferred to" if self.wins > self.losses else "is less preferred than"
        decided, pairs = self.wins + self.losses, self.wins + self.losses + self.ties
        share = f"{self.wins / decided:.0%}" if decided else "none"
        equal = f", {self.equal} more are of equal images" if self.equal else ""
        people = "1 person" if self.raters == 1 else f"{self.raters} people"
        prompts = "1 prompt" if self.prompts == 1 else f"{self.prompts} prompts"
        return (
            f"People: {self.first} {word} {self.second}: of {pairs} pairs ({self.most} at most{equal}) it won "
            f"{self.wins}, lost {self.losses} and tied {self.ties}. Of decided pairs it wins {share} "
            f"[{self.low:.0%}, {self.high:.0%}], however often one looks; e-value "
            f"{self.evidence:.3g}, {ENOUGH:.0f} is enough. Ties half, "
            f"{'other prompts' if self.raters == 1 else 'other people and prompts'} would give {self.share:.0%} "
            f"[{self.share_low:.0%}, {self.share_high:.0%}], by {people} on {prompts}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArmPreference:
        """What `to_dict` made plain values of.

        Raises:
            TypeError: they are none of it.
        """
        return cls(**values)


def is_clear(signs: Sequence[int]) -> bool:
    """Whether no more pairs are needed; see `preference_of`."""
    return greatest_e_value(signs) >= ENOUGH


def preference_of(
    arms: tuple[str, str], signs: Sequence[int], answers: Sequence[Answer], equal: int, most: int
) -> ArmPreference:
    """What came of the pairs of two arms.

    The test is by pairs, each of which counts once however many people were asked: had the arms been the same, either
    image of a pair might have been the better one, and all would have said so. The interval is by answers; see
    `experiments.people.random_effects`.

    Args:
        arms: names of the first and the second.
        signs: of each pair in the order of time 1, -1 or 0, as most people chose.
        answers: of all people.
        equal: pairs of equal images.
        most: pairs that there might have been.
    """
    wins, losses = sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs)
    low, high = confidence_sequence(wins, losses)
    prompts, raters = [answer.prompt for answer in answers], [answer.rater for answer in answers]
    share, ends = 0.5, (low, high)
    if answers:
        found = crossed_mean(np.array([answer.share for answer in answers]), prompts, raters)
        share = found.mean
        if not math.isnan(found.low):  # else all said the same, and nothing tells how prompts and people differ
            ends = max(0.0, found.low), min(1.0, found.high)
    return ArmPreference(
        *arms,
        wins,
        losses,
        len(signs) - wins - losses,
        equal,
        most,
        greatest_e_value(signs),
        low,
        high,
        share,
        *ends,
        len(set(prompts)),
        len(set(raters)),
    )
