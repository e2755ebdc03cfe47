"""A score that stands in for values."""

from __future__ import annotations

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.acquisition import propose
from optimizer.attributes import STAND_IN, STANDARD_ERROR
from optimizer.encoding import Encoding
from optimizer.gp import fit_gp
from optimizer.observations import observe
from optimizer.recommendation import recommend
from optimizer.samplers.gp import GaussianProcessSampler
from optimizer.stand_in import StandInGP, fit_stand_in

SPACE: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}


def _wave(X: Tensor) -> Tensor:
    return torch.sin(4 * X[:, [0]]) + torch.cos(3 * X[:, [1]])


def _other(X: Tensor) -> Tensor:
    return torch.cos(9 * X[:, [0]] + 5 * X[:, [1]])


def _points(count: int, seed: int) -> Tensor:
    return SobolEngine(2, scramble=True, seed=seed).draw(count, dtype=torch.float64)


def _fitted(scores: Tensor, values: Tensor, X: Tensor, all_X: Tensor, all_scores: Tensor, noise: float) -> StandInGP:
    return fit_stand_in(X, values, torch.full_like(values, noise), scores, fit_gp(all_X, all_scores, None))


def test_scale_and_offset_are_learnt_and_what_was_scored_alone_is_known() -> None:
    X, others = _points(8, 0), _points(24, 1)
    everywhere = torch.cat([X, others])
    model = _fitted(_wave(X), 3 * _wave(X) - 7, X, everywhere, _wave(everywhere), 1e-4)
    assert model.scale == pytest.approx(3, rel=0.05)
    posterior = model.posterior(others)
    assert float((posterior.mean.detach() - (3 * _wave(others) - 7)).abs().max()) < 0.25
    assert float(posterior.variance.max()) < 0.05
    alone = fit_gp(X, 3 * _wave(X) - 7, torch.full((8, 1), 1e-4).double()).posterior(others)
    assert float(alone.variance.mean()) > 4 * float(posterior.variance.mean())


def test_a_score_that_tells_nothing_is_not_believed() -> None:
    X = _points(40, 0)
    model = _fitted(_other(X), _wave(X), X, X, _other(X), 1e-4)
    assert abs(model.scale) < 0.15
    new = _points(100, 5)
    told = torch.stack([model.posterior(new).mean[:, 0].detach(), _wave(new)[:, 0]])
    assert float(torch.corrcoef(told)[0, 1]) > 0.95


def test_uncertainty_is_that_of_score_scale_and_rest() -> None:
    X, others = _points(10, 0), _points(5, 7)
    model = _fitted(_other(X), _wave(X), X, X, _other(X), 0.01)
    score, rest = model.score.posterior(others), model.rest.posterior(others)
    away = score.mean[:, 0] - model.centre
    expected = rest.variance[:, 0] + model.scale**2 * score.variance[:, 0] + model.scale_variance * away**2
    assert torch.allclose(model.posterior(others).variance[:, 0], expected)
    assert model.posterior(others[:, None]).mean.shape == (5, 1, 1)


def test_trials_that_wait_count_by_their_scores_and_failed_ones_do_not() -> None:
    study = optuna.create_study(direction="minimize")
    for k, (a, b) in enumerate(_points(6, 3).tolist()):
        trial = study.ask(SPACE)
        trial._cached_frozen_trial.params = {"a": a, "b": b}
        trial.set_user_attr(STAND_IN, float(k))
        if k < 3:
            trial.set_user_attr(STANDARD_ERROR, 0.1)
            study.tell(trial, 10.0 + k)
        elif k == 5:
            study.tell(trial, state=TrialState.FAIL)
    observations = observe(study, study.trials, Encoding(SPACE))
    assert observations.stand_in is not None
    assert observations.stand_in.numbers == [0, 1, 2, 3, 4]
    assert observations.stand_in.scores.flatten().tolist() == [0, -1, -2, -3, -4]  # turned, as the values are
    assert observations.stand_in.own.flatten().tolist() == [0, -1, -2]
    assert observations.standing_in().Y.shape == (5, 1)
    assert recommend(observations).number == 0
    point = propose(observations, Encoding(SPACE), None, 0)
    assert point.shape == (2,)
    study.tell(3, 13.0)
    lacking = study.ask(SPACE)
    study.tell(lacking, 1.0)
    assert observe(study, study.trials, Encoding(SPACE)).stand_in is None


def test_before_there_are_values_the_score_is_what_is_sought() -> None:
    study = optuna.create_study(direction="maximize", sampler=GaussianProcessSampler(seed=0, design=4))
    for _ in range(9):
        trial = study.ask(SPACE)
        a, b = trial.params["a"], trial.params["b"]
        trial.set_user_attr(STAND_IN, -((a - 0.3) ** 2) - (b - 0.6) ** 2)
    away = [abs(trial.params["a"] - 0.3) + abs(trial.params["b"] - 0.6) for trial in study.trials]
    assert min(away[4:]) < min(0.15, *away[:4])
