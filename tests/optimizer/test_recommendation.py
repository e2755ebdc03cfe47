from __future__ import annotations

import pytest
import torch
from torch import Tensor

from optimizer.observations import Observations
from optimizer.recommendation import Recommendation, balanced, fit_model, pareto, ranking, recommend

NOISE = 0.3


def _true(X: Tensor) -> Tensor:
    return 1 - ((X - 0.4) ** 2).sum(dim=1, keepdim=True)


def _seen(count: int, seed: int, noise: float = NOISE, around: float | None = None) -> Observations:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    if around is not None:
        X = (0.4 + around * (X - 0.5)).clamp(0, 1)
    Y = _true(X) + noise * torch.randn(count, 1, generator=generator, dtype=torch.float64)
    return Observations(X, Y, torch.full_like(Y, noise**2), list(range(10, 10 + count)))


@pytest.mark.slow
def test_the_recommended_setting_is_better_than_the_luckiest() -> None:
    gains, errors, covered = [], [], []
    for seed in range(30):
        seen = _seen(60, seed, noise=0.4)
        fitted = fit_model(seen)
        found = fitted.recommendation
        place = seen.numbers.index(found.number)
        truth = _true(seen.X)[:, 0]
        gains.append(float(truth[place] - truth[seen.Y[:, 0].argmax()]))
        means = torch.tensor([each.mean for each in fitted.settings], dtype=torch.float64)
        errors.append(float((means - truth).pow(2).mean().sqrt()))
        covered.append(found.low <= float(truth[place]) <= found.high)
        assert found.low < found.mean < found.high
    assert sum(gains) / 30 > 0.01
    assert sum(errors) / 30 < 0.4 * 0.4  # of the noise
    assert sum(covered) >= 26  # of 30 intervals of 95 %


def test_one_observation_is_recommended_with_about_its_own_interval() -> None:
    seen = _seen(1, 0)
    found = recommend(seen)
    assert found.number == 10
    assert found.mean == pytest.approx(float(seen.Y))
    assert found.high - found.mean == pytest.approx(1.96 * NOISE, rel=0.1)


def test_nothing_and_several_objectives_are_refused() -> None:
    nothing = Observations(torch.zeros(0, 2), torch.zeros(0, 1), None, [])
    with pytest.raises(ValueError, match=r"observations: \(0, 1\); allowed: one or more of one objective"):
        recommend(nothing)
    with pytest.raises(ValueError, match=r"observations: \(3, 2\)"):
        recommend(Observations(torch.zeros(3, 2), torch.zeros(3, 2), None, [0, 1, 2]))
    with pytest.raises(ValueError, match=r"observations: \(0, 1\); allowed: one or more"):
        pareto(nothing)


def test_the_chance_of_better_falls_with_knowledge_and_margin() -> None:
    early, late = fit_model(_seen(5, 0, noise=0.02)), fit_model(_seen(60, 0, noise=0.02, around=0.5))
    assert early.chance_of_better(0.01) > 0.5
    assert late.chance_of_better(0.05) < 0.05
    chances = [early.chance_of_better(margin) for margin in (0.0, 0.1, 0.3, 10.0)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] == 0
    before = torch.get_rng_state()
    assert early.chance_of_better(0.1) == pytest.approx(chances[1], abs=0.01)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_front_is_found_through_noise() -> None:
    """Of x - y / 4 and -x^2 - y^2 the front is y = 0; what was lucky in one objective does not join."""
    grid = torch.linspace(0, 1, 6, dtype=torch.float64)
    X = torch.cartesian_prod(grid, grid)
    truth = torch.stack([X[:, 0] - X[:, 1] / 4, -(X[:, 0] ** 2) - X[:, 1] ** 2], dim=1)
    noise = 0.02
    Y = truth + noise * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = pareto(Observations(X, Y, torch.full_like(Y, noise**2), list(range(36))))
    assert {setting[0].number for setting in found} == {row for row in range(36) if X[row, 1] == 0}
    first = [setting[0].mean for setting in found]
    assert first == sorted(first, reverse=True)
    for setting in found:
        for k, each in enumerate(setting):
            assert each.number == setting[0].number
            assert each.low - noise < float(truth[each.number, k]) < each.high + noise


def test_the_balanced_setting_is_best_in_what_it_is_worst_in() -> None:
    means = [(10.0, 0.0), (9.0, 0.3), (6.0, 0.6), (0.0, 1.0)]  # as shares of the ranges: 1 0, .9 .3, .6 .6, 0 1
    front = [tuple(Recommendation(k, mean, mean, mean) for mean in pair) for k, pair in enumerate(means)]
    assert balanced(front)[0].number == 2
    assert balanced(front[:1]) == front[0]


def test_what_is_allowed_is_ranked_by_its_mean() -> None:
    seen = _seen(20, 3)
    means = {setting.number: setting.mean for setting in fit_model(seen).settings}
    assert ranking(seen) == sorted(means, key=lambda number: -means[number])
    assert ranking(seen)[0] == recommend(seen).number


def test_one_objective_has_a_front_of_one() -> None:
    seen = _seen(20, 3)
    assert pareto(seen) == [(recommend(seen),)]
