"""E-values and confidence sequences of choices, against exact probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from experiments.people.sequential import ENOUGH, confidence_sequence, e_value, greatest_e_value


def _ever(p: float, tested: float, most: int) -> float:
    """Probability that the e-value of a share ever is enough within so many choices: exact, by the walk of wins."""
    alive, stopped = np.ones(1), 0.0
    for count in range(1, most + 1):
        alive = np.append(alive * (1 - p), 0) + np.append(0, alive * p)
        enough = np.array([e_value(wins, count - wins, tested) >= ENOUGH for wins in range(count + 1)])
        stopped += alive[enough].sum()
        alive[enough] = 0
    return float(stopped)


@pytest.mark.parametrize("p", [0.5, 0.3, 0.05])
def test_however_often_one_looks_a_true_share_is_excluded_in_one_of_twenty_cases_at_most(p: float) -> None:
    assert 0.001 < _ever(p, p, 300) <= 0.05


def test_a_difference_is_found() -> None:
    assert _ever(0.7, 0.5, 100) > 0.85
    assert _ever(0.9, 0.5, 20) > 0.9


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 0.5), (7, 2, 0.5), (3, 11, 0.2), (40, 60, 0.4)])
def test_it_is_the_likelihood_ratio_mixed_over_all_shares(wins: int, losses: int, p: float) -> None:
    likelihood = binom(wins + losses, p).pmf(wins)
    mixed, _ = quad(lambda q: binom(wins + losses, q).pmf(wins), 0, 1)
    assert e_value(wins, losses, p) == pytest.approx(mixed / likelihood, rel=1e-6)


@pytest.mark.parametrize(("wins", "losses"), [(9, 1), (30, 30), (0, 8), (8, 0), (500, 300)])
def test_the_sequence_holds_what_is_not_excluded(wins: int, losses: int) -> None:
    low, high = confidence_sequence(wins, losses)
    assert 0 <= low <= wins / (wins + losses) <= high <= 1
    assert confidence_sequence(losses, wins) == pytest.approx((1 - high, 1 - low))
    for end in {low, high} - {0.0, 1.0}:
        assert e_value(wins, losses, end) == pytest.approx(ENOUGH, rel=1e-6)
    assert confidence_sequence(0, 0) == (0, 1)


def test_what_was_enough_once_stays_enough_and_ties_say_nothing() -> None:
    assert greatest_e_value([]) == 1
    assert greatest_e_value([1] * 8) == pytest.approx(e_value(8, 0))
    assert greatest_e_value([1, 0, 0] * 8 + [-1] * 8) == pytest.approx(e_value(8, 0))
    assert e_value(8, 0) > ENOUGH > e_value(7, 0)
