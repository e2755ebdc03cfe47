from __future__ import annotations

import statistics

import pytest

from objectives.human import mean_ratings


def test_ratings_become_means_with_their_standard_errors() -> None:
    found = mean_ratings({"a": [5, 3], "b": [2]})
    assert set(found) == {"a", "b"}
    assert (found["a"].mean, found["a"].count) == (0.75, 2)
    assert (found["b"].mean, found["b"].count) == (0.25, 1)
    pooled = ((2 * 0.2**2 + 2 * statistics.pvariance([1.0, 0.5])) / 3) ** 0.5
    assert found["b"].standard_error == pytest.approx(pooled)
    assert found["a"].standard_error == pytest.approx(pooled / 2**0.5)
    assert mean_ratings({}) == {}


def test_the_spread_of_many_raters_is_learnt() -> None:
    values = [1, 2, 3, 4, 5] * 40
    expected = statistics.stdev((value - 1) / 4 for value in values) / len(values) ** 0.5
    assert mean_ratings({"a": values})["a"].standard_error == pytest.approx(expected, rel=0.02)
