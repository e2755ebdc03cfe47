"""The paper's claims as data: each can be tried, and says what it means."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.paper.arms import BOTH, DISLIKED, DROPOUT, LIKED, NONE, STRENGTHS, PaperArm
from experiments.paper.claims import (
    CLAIMS,
    GAP_CLOSED,
    NUMBERS,
    WORST_OVER_BEST,
    Record,
    best,
    best_so_far,
    mean,
    measure,
    tried_by,
    worst,
)

SCORES = np.arange(2 * 3 * 4, dtype=np.float64).reshape(2, 3, 4)
RECORD = Record(SCORES, {"diversity": SCORES.mean(axis=2)})


def test_there_is_a_claim_for_every_experiment_that_generates() -> None:
    assert NUMBERS == ("E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "E11")
    texts = [(claim.text, claim.section) for claim in CLAIMS]
    assert len(set(texts)) == len(texts)
    assert all(claim.sign in (1, -1) and claim.first != claim.second for claim in CLAIMS)


def test_arms_are_shared_and_hold_all_that_claims_need() -> None:
    arms = tried_by(CLAIMS)
    assert len(set(arms)) == len(arms)
    assert {pair for claim in CLAIMS for pair in claim.tried} <= set(arms)
    of_one = tried_by(tuple(claim for claim in CLAIMS if claim.number == "E5"))
    assert set(of_one) == {("target", arm) for arm in (NONE, BOTH, LIKED)}
    contradicted = [claim for claim in CLAIMS if claim.first.kind == "contradicted"]
    assert all(("contradicted", NONE) in claim.tried for claim in contradicted)


@pytest.mark.parametrize(
    ("statistic", "values"),
    [
        (best(2), [7, 19]),
        (worst(2), [4, 16]),
        (mean(3), [9.5, 21.5]),
        (best_so_far(2), [7, 19]),
        (measure("diversity", 1), [1.5, 13.5]),
        (WORST_OVER_BEST, [-3, -3]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_statistics_are_of_prompts(statistic, values: list[float]) -> None:  # type: ignore[no-untyped-def]
    assert statistic.of(RECORD, RECORD).tolist() == values


def test_the_gap_is_closed_in_parts() -> None:
    plain, half, whole = (Record(np.full((2, 3, 4), value), {}) for value in (0.5, 0.75, 1.0))
    assert [GAP_CLOSED.of(one, plain).tolist() for one in (plain, half, whole)] == [[0, 0], [0.5, 0.5], [1, 1]]


def test_arms_are_the_papers() -> None:
    for kind, strength in STRENGTHS.items():
        params = BOTH.params(kind, 6.0)
        assert (params.strength, params.outer, params.guidance_scale) == (strength, 1.0, 6.0)
        assert NONE.params(kind, 6.0).strength == 0
    assert DROPOUT.params("target", 6.0).prompt_dropout == 0.3
    assert (LIKED.feedback, DISLIKED.feedback) == ("liked", "disliked")
    assert PaperArm("a", {"strength": 0.1}) == PaperArm("a", {"strength": 0.1})
