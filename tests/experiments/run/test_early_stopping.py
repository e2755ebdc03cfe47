"""Trials stop when they have little chance, and seldom when they are better."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
import torch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from experiments.run.early_stopping import EarlyStopping
from optimizer.attributes import SCORES
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import fit_model

Values = NDArray[np.float64]
SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
ENCODING = Encoding(SPACE)
BLOCKS, NOISE = 8, 0.1
ERROR = NOISE / BLOCKS**0.5  # standard error of a whole trial


class _Function:
    """A smooth function of two parameters, measured on prompts that differ in hardness."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.phases = self.random.uniform(0, 6, 2)
        self.hardness = self.random.normal(0, 1, BLOCKS)

    def truth(self, x: Values, y: Values) -> Values:
        """Values of settings."""
        return 0.1 * (np.sin(3 * x + self.phases[0]) + np.sin(3 * y + self.phases[1]))

    def scores(self, x: float, y: float) -> dict[str, float]:
        """Of one setting, by prompt."""
        noisy = self.truth(np.array(x), np.array(y)) + self.hardness + self.random.normal(0, NOISE, BLOCKS)
        return {f"{block}": float(score) for block, score in enumerate(noisy)}

    def study(self, count: int = 12) -> optuna.Study:
        """Trials of settings drawn at random."""
        study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
        for _ in range(count):
            trial = study.ask(SPACE)
            scores = self.scores(**trial.params)
            trial.set_user_attr(SCORES, scores)
            study.tell(trial, float(np.mean(list(scores.values()))))
        return study


def _stopped(function: _Function, study: optuna.Study, better_by: float) -> bool | None:
    """Whether a setting that is better than the recommended one by so much is stopped; None where there is none."""
    fitted = fit_model(observe(study, study.trials, ENCODING))
    best = study.trials[fitted.recommendation.number].params
    x, y = function.random.uniform(0, 1, (2, 2000))
    gains = function.truth(x, y) - function.truth(np.array(best["x"]), np.array(best["y"]))
    such = np.flatnonzero(np.abs(gains - better_by) < 0.2 * ERROR)
    if not len(such):
        return None
    study.enqueue_trial({"x": float(x[such[0]]), "y": float(y[such[0]])})
    trial = study.ask(SPACE)
    scores = function.scores(**trial.params)
    stopping = EarlyStopping(study, fitted, ENCODING, 0.02)
    looks = range(1, BLOCKS)
    stops = any(stopping.stops(trial, {name: scores[name] for name in list(scores)[:look]}) for look in looks)
    study.tell(trial, state=TrialState.FAIL)
    return stops


@pytest.mark.slow
def test_better_settings_are_seldom_stopped_and_much_worse_ones_mostly() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better, worse = [], []
    for seed in range(80):
        function = _Function(seed)
        study = function.study()
        better.append(_stopped(function, study, ERROR))
        worse.append(_stopped(function, study, -6 * ERROR))
    found = [stopped for stopped in better if stopped is not None]
    assert len(found) > 30
    assert np.mean(found) < 0.03
    assert np.mean([stopped for stopped in worse if stopped is not None]) > 0.6


def test_the_chance_is_that_of_two_gaussians() -> None:
    """With a flat prior and independent noise the chance is that of the difference of two measured values."""
    X = torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    class Posterior:
        mean = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
        covariance_matrix = torch.eye(2).double()

    class Model:
        def posterior(self, points: torch.Tensor) -> Posterior:
            return Posterior()

    fitted = fit_model(observe(_few(), _few().trials, Encoding({"x": FloatDistribution(0.0, 1.0)})))
    fitted.model = Model()  # type: ignore[assignment]
    # f0 ~ N(1, 1); f1 ~ N(0, 1), seen at 2 with variance 1: N(1, 1/2). So the difference is N(0, 3/2).
    assert fitted.chance_of_beating(X[1], 2.0, 1.0) == pytest.approx(0.5)
    assert fitted.chance_of_beating(X[1], 2.0 + 2 * 1.5**0.5, 1.0) == pytest.approx(0.8413, abs=1e-3)


def _few() -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    for value in (0.0, 1.0):
        trial = study.ask({"x": FloatDistribution(0.0, 1.0)})
        study.tell(trial, value)
    return study
