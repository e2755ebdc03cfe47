from __future__ import annotations

import pytest
import torch
from torch import Tensor

from optimizer.observations import Observations
from optimizer.recommend import chance_of_better, recommend

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


def test_the_recommended_setting_is_better_than_the_luckiest() -> None:
    gains, covered = [], []
    for seed in range(40):
        seen = _seen(30, seed)
        found = recommend(seen)
        place = seen.numbers.index(found.number)
        truth = _true(seen.X)[:, 0]
        gains.append(float(truth[place] - truth[seen.Y[:, 0].argmax()]))
        covered.append(found.low <= float(truth[place]) <= found.high)
        assert found.low < found.mean < found.high
    assert sum(gains) / 40 > 0.01
    assert sum(covered) >= 33  # of 40 intervals of 95 %


def test_one_observation_is_recommended_with_its_own_interval() -> None:
    seen = _seen(1, 0)
    found = recommend(seen)
    assert (found.number, found.mean) == (10, float(seen.Y))
    assert found.high - found.mean == pytest.approx(1.96 * NOISE, rel=1e-3)


def test_nothing_and_several_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"observations: \(0, 1\); allowed: one or more of one objective"):
        recommend(Observations(torch.zeros(0, 2), torch.zeros(0, 1), None, []))
    with pytest.raises(ValueError, match=r"observations: \(3, 2\)"):
        recommend(Observations(torch.zeros(3, 2), torch.zeros(3, 2), None, [0, 1, 2]))


def test_the_chance_of_better_falls_with_knowledge_and_margin() -> None:
    early, late = _seen(5, 0, noise=0.02), _seen(60, 0, noise=0.02, around=0.5)
    assert chance_of_better(early, 0.01) > 0.5
    assert chance_of_better(late, 0.05) < 0.05
    chances = [chance_of_better(early, margin) for margin in (0.0, 0.1, 0.3, 10.0)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] == 0
    before = torch.get_rng_state()
    assert chance_of_better(early, 0.1) == pytest.approx(chances[1], abs=0.01)
    assert torch.equal(torch.get_rng_state(), before)
