"""The paper's claims, each as arms, a statistic and a sign, so that text, test and table come from one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.paper.arms import (
    BOTH,
    DISLIKED,
    DROPOUT,
    FIRST_HALF,
    LIKED,
    LORA,
    LORA_BOTH,
    NONE,
    SECOND_HALF,
    SWEEP,
    Kind,
    PaperArm,
)
from experiments.run.protocol import Scores

Values = NDArray[np.float64]
ROUNDS = 3


@dataclass(frozen=True)
class Record:
    """What an arm came to on P prompts.

    Attributes:
        scores: P x R x n of the experiment's objective.
        measures: by name, P x R; NaN while there is no feedback to be measured by.
    """

    scores: Scores
    measures: Mapping[str, Scores]


@dataclass(frozen=True)
class Statistic:
    """One number for each prompt.

    Attributes:
        name: of it.
        of: from an arm's record and that of no feedback to P numbers.
    """

    name: str
    of: Callable[[Record, Record], Values]


def best(number: int) -> Statistic:
    """The best image of a round."""
    return Statistic(f"best image of round {number}", lambda r, _: r.scores[:, number - 1].max(axis=1))


def mean(number: int) -> Statistic:
    """The mean image of a round."""
    return Statistic(f"mean of round {number}", lambda r, _: r.scores[:, number - 1].mean(axis=1))


def worst(number: int) -> Statistic:
    """The worst image of a round."""
    return Statistic(f"worst image of round {number}", lambda r, _: r.scores[:, number - 1].min(axis=1))


def best_so_far(number: int) -> Statistic:
    """The best image of all rounds up to one."""
    return Statistic(f"best image so far in round {number}", lambda r, _: r.scores[:, :number].max(axis=(1, 2)))


def measure(name: str, number: int) -> Statistic:
    """A measure of a round."""
    return Statistic(f"{name} in round {number}", lambda r, _: r.measures[name][:, number - 1])


WORST_OVER_BEST = Statistic(
    f"worst minus best image of round {ROUNDS}",
    lambda r, _: r.scores[:, ROUNDS - 1].min(axis=1) - r.scores[:, ROUNDS - 1].max(axis=1),
)
GAP_CLOSED = Statistic(
    f"share of the gap to the target closed in round {ROUNDS}",
    lambda r, plain: 1 - (1 - r.scores[:, -1].mean(axis=1)) / np.maximum(1 - plain.scores[:, -1].mean(axis=1), 1e-6),
)


@dataclass(frozen=True)
class ClaimSide:
    """One side of a comparison.

    Attributes:
        kind: the experiment.
        arm: in it.
        statistic: that is compared.
    """

    kind: Kind
    arm: PaperArm
    statistic: Statistic


@dataclass(frozen=True)
class Claim:
    """Something that the paper says.

    Attributes:
        number: of the experiment, "E2" to "E11".
        text: what is claimed.
        section: of the paper.
        first: what is compared.
        second: with what; prompt by prompt.
        sign: 1 where the first is to be higher, -1 where it is to be lower.
    """

    number: str
    text: str
    section: str
    first: ClaimSide
    second: ClaimSide
    sign: int = 1

    @property
    def sides(self) -> tuple[ClaimSide, ClaimSide]:
        """Both of them."""
        return self.first, self.second

    @property
    def tried(self) -> frozenset[tuple[Kind, PaperArm]]:
        """All that must be measured."""
        plain = {(side.kind, NONE) for side in self.sides if side.statistic is GAP_CLOSED}
        return frozenset({(side.kind, side.arm) for side in self.sides} | plain)


def _claim(
    number: str,
    text: str,
    section: str,
    kind: Kind,
    arm: PaperArm,
    over: PaperArm,
    statistic: Statistic,
    sign: int = 1,
) -> Claim:
    """A claim about one statistic of two arms of one experiment."""
    return Claim(number, text, section, ClaimSide(kind, arm, statistic), ClaimSide(kind, over, statistic), sign)


_OF_ROUND = {"best": best, "mean": mean, "worst": worst}
_FED_BACK = ((LIKED, "liked images alone lower"), (DISLIKED, "disliked images alone lower"), (BOTH, "both lower"))
_FIRST = "The first half of the steps alone is better than all steps"
_SECOND = "The second half alone is worse than all steps"

CLAIMS: tuple[Claim, ...] = (
    *(
        _claim(
            "E2",
            f"From round 2 on the {name} image is preferred to no feedback's (round {number})",
            "5.1, Fig. 3b",
            "preference",
            BOTH,
            NONE,
            of(number),
        )
        for number in (2, 3)
        for name, of in _OF_ROUND.items()
    ),
    _claim(
        "E3",
        "The best image so far rises faster with feedback",
        "5.1, Fig. 3a",
        "preference",
        BOTH,
        NONE,
        best_so_far(3),
    ),
    *(
        _claim(
            "E4",
            f"Images are more like those that were liked (round {number})",
            "5.1, Fig. 3c",
            "preference",
            BOTH,
            NONE,
            measure("clip-liked", number),
        )
        for number in (2, 3)
    ),
    *(
        _claim(
            "E4",
            f"Images are less like those that were disliked (round {number})",
            "5.1, Fig. 3c",
            "preference",
            BOTH,
            NONE,
            measure("clip-disliked", number),
            -1,
        )
        for number in (2, 3)
    ),
    *(
        _claim(
            "E5",
            f"The {name} image comes closer to the target (round {number})",
            "5.2, Fig. 4",
            "target",
            BOTH,
            NONE,
            of(number),
        )
        for number in (2, 3)
        for name, of in (("best", best), ("worst", worst))
    ),
    _claim("E5", "The worst image gains most", "5.2, Fig. 4", "target", BOTH, NONE, WORST_OVER_BEST),
    _claim("E5", "Liked images alone help", "5.2, Fig. 4", "target", LIKED, NONE, mean(3)),
    _claim(
        "E5", "Liked and disliked images help more than liked ones alone", "5.2, Fig. 4", "target", BOTH, LIKED, mean(3)
    ),
    *(
        _claim(
            "E6",
            f"Of feedback, {text} the diversity of a round",
            "5.2, App. A.2",
            "target",
            arm,
            NONE,
            measure("diversity", 3),
            -1,
        )
        for arm, text in _FED_BACK
    ),
    _claim(
        "E7",
        "Dropping words costs closeness of the best image",
        "5.4, Fig. 5a",
        "target",
        DROPOUT,
        BOTH,
        best_so_far(3),
        -1,
    ),
    _claim(
        "E7", "Dropping words keeps images diverse", "5.4, Fig. 5b", "target", DROPOUT, BOTH, measure("diversity", 3)
    ),
    Claim(
        "E7",
        "With dropped words round 3 is more diverse than round 1 without",
        "5.4, Fig. 5b",
        ClaimSide("target", DROPOUT, measure("diversity", 3)),
        ClaimSide("target", BOTH, measure("diversity", 1)),
    ),
    *(
        _claim("E8", f"{text} ({kind})", "5.3", kind, arm, BOTH, mean(3), sign)
        for kind in ("preference", "target")
        for arm, text, sign in ((FIRST_HALF, _FIRST, 1), (SECOND_HALF, _SECOND, -1))
    ),
    *(
        _claim(
            "E9",
            f"Strength {arm.knobs['strength']:g} is better than no feedback ({kind})",
            "5",
            kind,
            arm,
            NONE,
            mean(3),
        )
        for kind in ("preference", "target")
        for arm in SWEEP
        if arm.knobs["strength"] in (0.1, 0.8)
    ),
    _claim(
        "E10", "Feedback alone is better than a LoRA tuned for preference", "5.1", "preference", BOTH, LORA, mean(3)
    ),
    _claim("E10", "Both together are better than feedback alone", "5.1", "preference", LORA_BOTH, BOTH, mean(3)),
    _claim(
        "E11",
        "Images of a round become one: fewer of what prompts leave open differ",
        "6",
        "target",
        BOTH,
        NONE,
        measure("classifier-variety", 3),
        -1,
    ),
    Claim(
        "E11",
        "Less of the gap is closed to a target that contradicts the prompt",
        "6",
        ClaimSide("contradicted", BOTH, GAP_CLOSED),
        ClaimSide("target", BOTH, GAP_CLOSED),
        -1,
    ),
)
NUMBERS = tuple(dict.fromkeys(claim.number for claim in CLAIMS))


def tried_by(claims: tuple[Claim, ...]) -> list[tuple[Kind, PaperArm]]:
    """All that claims need, each once, the most shared first."""
    wanted = [pair for claim in claims for pair in claim.tried]
    return sorted(dict.fromkeys(wanted), key=lambda pair: (-wanted.count(pair), pair[0], pair[1].name))
