"""What several raters come to, against simulated raters of whom all is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from experiments.people.consensus import StarRating, consensus


def _simulated(
    deviations: dict[str, float], biases: dict[str, float], items: int, each: int, seed: int = 0
) -> tuple[dict[str, float], list[StarRating]]:
    generator = np.random.default_rng(seed)
    quality = {f"item {k}": float(q) for k, q in enumerate(generator.normal(3, 1, items))}
    ratings = []
    for name, true in quality.items():
        for rater in generator.permutation(list(deviations))[:each]:
            stars = true + biases.get(rater, 0.0) + generator.normal(0, deviations[rater])
            ratings.append(StarRating(name, str(rater), float(np.clip(np.rint(stars), 1, 5))))
    return quality, ratings


def test_one_rater_is_taken_at_his_word() -> None:
    ratings = [
        StarRating("a", "ann", 1),
        StarRating("b", "ann", 5),
        StarRating("c", "ann", 3),
        StarRating("c", "ann", 4),
    ]
    found = consensus(ratings)
    assert found.means == pytest.approx({"a": 1, "b": 5, "c": 3.5})
    assert found.raters["ann"].bias == pytest.approx(0)
    assert found.raters["ann"].repeats == 1
    assert found.raters["ann"].steadiness == pytest.approx(np.std([3, 4], ddof=1))


def test_of_nobody_nothing_is_known() -> None:
    assert consensus([]).means == {}


def test_raters_who_are_alike_come_to_the_plain_mean() -> None:
    _, ratings = _simulated(dict.fromkeys(("a", "b", "c"), 0.5), {}, items=200, each=3)
    found = consensus(ratings).means
    plain = {name: np.mean([r.stars for r in ratings if r.item == name]) for name in found}
    assert max(abs(found[name] - plain[name]) for name in found) < 0.35
    assert pearsonr(list(found.values()), list(plain.values())).statistic > 0.995


def test_strict_and_careless_raters_are_known_and_count_for_less() -> None:
    deviations, biases = {"ann": 0.4, "ben": 0.4, "eve": 0.4, "max": 2.5}, {"ben": -0.8}
    gains = []
    for seed in range(5):
        quality, ratings = _simulated(deviations, biases, items=150, each=2, seed=seed)
        found = consensus(ratings)
        assert -0.8 < found.raters["ben"].bias < -0.3  # -0.6 to the usual of the four
        assert found.raters["max"].deviation > 1.5 * found.raters["ann"].deviation
        true = list(quality.values())
        ours = pearsonr([found.means[name] for name in quality], true).statistic
        plain = [np.mean([r.stars for r in ratings if r.item == name]) for name in quality]
        gains.append(ours - pearsonr(plain, true).statistic)
    assert min(gains) > 0.01


def test_means_keep_to_the_scale() -> None:
    ratings = [StarRating(f"item {k}", "ann", 5) for k in range(30)] + [
        StarRating(f"item {k}", "ben", 1) for k in range(30)
    ]
    ratings += [StarRating("best", "ben", 5)]
    assert all(1 <= mean <= 5 for mean in consensus(ratings).means.values())


def test_the_order_of_ratings_does_not_matter() -> None:
    _, ratings = _simulated(dict.fromkeys("abc", 0.6), {"a": 0.5}, items=40, each=2)
    turned = consensus(ratings[::-1]).means
    assert turned == pytest.approx(consensus(ratings).means)
