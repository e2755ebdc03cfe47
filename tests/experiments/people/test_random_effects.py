"""Intervals for other people and prompts, against simulated answers of which all is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.people.random_effects import Components, components, crossed_mean

Simulated = tuple[NDArray[np.float64], list[int], list[int]]


def _simulated(generator: np.random.Generator, prompts: int, raters: int, count: int, known: Components) -> Simulated:
    """Answers in random order; each prompt about as often, raters as they come."""
    prompt = generator.permutation(np.arange(count) % prompts)
    rater = generator.integers(raters, size=count)
    effects = generator.normal(0, known.prompt**0.5, prompts)[prompt]
    effects += generator.normal(0, known.rater**0.5, raters)[rater]
    return effects + generator.normal(0, known.rest**0.5, count), prompt.tolist(), rater.tolist()


def test_variances_of_prompts_raters_and_the_rest_are_told_apart() -> None:
    known, generator = Components(0.3, 0.15, 0.6), np.random.default_rng(0)
    found = np.array([components(*_simulated(generator, 12, 6, 150, known)) for _ in range(300)])
    error = found.std(0) / len(found) ** 0.5
    assert (abs(found.mean(0) - known) < 4 * error).all()
    assert (error < 0.012).all()


@pytest.mark.parametrize(
    ("prompts", "raters", "known"),
    [(8, 4, Components(0.1, 0.04, 0.8)), (16, 3, Components(0.3, 0.2, 0.5)), (8, 4, Components(0, 0, 1))],
)
def test_the_interval_misses_in_one_of_twenty_cases_at_most_however_often_one_looks(
    prompts: int, raters: int, known: Components
) -> None:
    """Whoever takes all answers for independent misses in a third of the cases."""
    generator, missed, naive = np.random.default_rng(1), 0, 0
    for _ in range(200):
        values, prompt, rater = _simulated(generator, prompts, raters, 100, known)
        looks = [crossed_mean(values[:n], prompt[:n], rater[:n]) for n in range(20, 101, 20)]
        missed += any(not found.low <= 0 <= found.high for found in looks)
        naive += abs(values.mean()) > 1.96 * values.std() / 10
    assert missed <= 10
    assert known.prompt == 0 or naive > 40


def test_of_one_rater_the_interval_is_his() -> None:
    values = np.array([1.0, 0.0, 1.0, 1.0, 0.5, 1.0])
    found = crossed_mean(values, list("aabbcc"), ["ann"] * 6)
    assert found.mean == pytest.approx(0.75)
    assert found.components.rater == 0
    assert found.low < found.mean < found.high
    assert np.isnan(crossed_mean(values[:1], ["a"], ["ann"]).low)
