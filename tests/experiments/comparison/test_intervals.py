from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.comparison.intervals import paired_difference


def test_the_interval_is_about_students_where_that_holds() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(1.0, 1.0, 200), rng.normal(0.0, 1.0, 200)
    found = paired_difference(first, second)
    low, high = stats.ttest_1samp(first - second, 0.0).confidence_interval(0.95)
    assert found.mean == pytest.approx((first - second).mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    assert found.wins == pytest.approx((first > second).mean())


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = [
        found.low <= 0.5 <= found.high
        for found in (paired_difference(rng.exponential(0.5, 30), np.zeros(30)) for _ in range(60))
    ]
    assert np.mean(held) >= 0.85


def test_pairs_take_away_what_prompts_have_in_common() -> None:
    rng = np.random.default_rng(1)
    prompts, noise = rng.normal(0, 10, 50), rng.normal(0, 0.1, 50)
    found = paired_difference(prompts + 0.1 + noise, prompts)
    assert 0.05 < found.low < found.mean < found.high < 0.15


def test_ties_are_half_a_win_and_nothing_to_resample_is_no_interval() -> None:
    found = paired_difference(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert (found.mean, found.low, found.high, found.wins, found.pairs) == (0, 0, 0, 0.5, 2)
    assert paired_difference(np.array([3.0]), np.array([1.0])).low == 2


def test_pairs_are_pairs() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        paired_difference(np.zeros(2), np.zeros(3))
