"""What the report says of single rounds, on scores made up for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from experiments.comparison.arms import WITHOUT, Arm, Measured, arms_of
from experiments.comparison.result import Comparison, compared
from experiments.report.by_round import basis, mean_over_rounds, round_differences
from experiments.report.headline import compared_headline
from experiments.report.tables_comparison import prompt_table
from fabric.params import FabricParams, preset

PROMPTS = ["a red star", "a blue ring", "a green bar", "a moon"]


def _measured(arm: Arm, seed: int) -> Measured:
    scores = np.random.default_rng(seed).normal(size=(len(PROMPTS), 3, 2))
    return Measured(arm, {"pickscore": scores}, {}, [[[""] * 2] * 3] * len(PROMPTS))


@pytest.fixture
def found() -> Comparison:
    presets = {"official": preset("official", 20)}
    arms = arms_of({"tuned": FabricParams()}, None, presets, FabricParams(strength=0))
    return compared("last", PROMPTS, True, [_measured(arm, k) for k, arm in enumerate(arms)], {})


def test_differences_by_round_are_those_of_a_paired_t_test(found: Comparison) -> None:
    ours, theirs = (arm.scores["pickscore"].mean(2) for arm in found.arms[:2])
    differences = round_differences(found, "pickscore", found.arms[1])
    pairs = [(ours[:, k], theirs[:, k]) for k in range(3)] + [(ours.mean(1), theirs.mean(1))]
    for difference, (first, second) in zip([*differences.rounds, differences.mean], pairs, strict=True):
        ends = ttest_rel(first, second).confidence_interval(0.95)
        assert (difference.low, difference.high) == pytest.approx((ends.low, ends.high))
        assert difference.mean == pytest.approx((first - second).mean())
    last = found.differences["pickscore"]["official"]
    assert differences.rounds[-1] == last != differences.mean


def test_the_basis_is_named_and_the_mean_stands_beside_it_unless_it_is_the_basis(found: Comparison) -> None:
    text = compared_headline(found)
    assert f"(official) in round 3, the last: {found.differences['pickscore']['official']} pickscore" in text
    assert text.endswith(f"Averaged over all rounds: {mean_over_rounds(found, 'official')}.")
    best_of = next(name for name in found.differences["pickscore"] if name.startswith("best of"))
    assert mean_over_rounds(found, best_of) is None  # it has no rounds
    assert basis(replace(found, value="best")) == "by the best image of all 3 rounds"
    everything = replace(found, value="all")
    assert basis(everything) == "on average over all 3 rounds"
    assert "Averaged over all rounds" not in compared_headline(everything)


def test_the_table_by_prompt_adds_up(found: Comparison) -> None:
    mean, *rows = prompt_table(found).rows
    assert [row[0] for row in rows] == PROMPTS
    for column in (1, 2, 4):
        assert float(mean[column]) == pytest.approx(np.mean([float(row[column]) for row in rows]), abs=1e-3)
    for row in rows:
        assert float(row[3]) == pytest.approx(float(row[1]) - float(row[2]), abs=2e-3)
    assert mean[3] == str(found.differences["pickscore"]["official"])
    assert WITHOUT not in [head.text for head in prompt_table(found).heads]
