"""What to use in the end, and when to stop: read off the model, not off the luckiest observation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.utils.multi_objective.pareto import is_non_dominated
from linear_operator.utils.warnings import NumericalWarning
from scipy.stats import norm
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.gp import fit_constraints
from optimizer.observations import Observations
from optimizer.surrogate import Surrogate, fit_surrogate, trial_error

_ELSEWHERE = 512  # points of the space that might be better, besides those near the best
_NEAR = 0.3  # standard deviation of the farthest of those near the best
_DRAWS = 512
_SURE = 0.95  # that constraints are kept
_REACH = float(norm.ppf(0.975))  # of the 95 % interval, in standard deviations


@dataclass(frozen=True)
class Recommendation:
    """What the model believes of an evaluated setting.

    Attributes:
        number: of its trial.
        mean: of the posterior, higher is better.
        low: lower end of the 95 % interval.
        high: upper end.
        allowed: probability that it keeps to all constraints; 1 where there are none.
    """

    number: int
    mean: float
    low: float
    high: float
    allowed: float = 1.0


class FittedModel:
    """A fitted model of one objective, and what is read off its posterior.

    Args:
        model: whose posterior is meant, of one output.
        X: n x d evaluated settings, one or more.
        numbers: n trial numbers.
        trial_error: standard error of the value of a trial, as is usual among them.
        allowed: n probabilities that a setting keeps to all constraints.
    """

    def __init__(
        self, model: Surrogate, X: Tensor, numbers: list[int], trial_error: float, allowed: Sequence[float]
    ) -> None:
        self.model = model
        self.X = X
        self.numbers = numbers
        self.trial_error = trial_error
        self.settings = _estimates(model, X, numbers, allowed)
        least = _least_allowed(allowed)
        rows = [row for row in range(len(numbers)) if allowed[row] >= least]
        self._best = max(rows, key=lambda row: self.settings[row].mean)

    @property
    def recommendation(self) -> Recommendation:
        """The best posterior mean among evaluated settings that keep to all constraints with 95 %.

        Where none does, the one that does so most probably.
        """
        return self.settings[self._best]

    @property
    def point(self) -> Tensor:
        """The recommended setting, d."""
        return self.X[self._best]

    def chance_of_beating(self, point: Tensor, value: float, variance: float) -> float:
        """Probability that a setting is better than the recommended one, with what was seen of it so far.

        The posterior of the two is conditioned on one more observation, at the hyperparameters that the others gave.

        Args:
            point: the setting, d.
            value: what was seen of it, on the scale of the observations.
            variance: of the noise of `value`.
        """
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)
            posterior = cast("GPyTorchPosterior", self.model.posterior(torch.stack([self.point, point])))
            mean, covariance = posterior.mean[:, 0], posterior.covariance_matrix
        gain = covariance[:, 1] / (covariance[1, 1] + variance).clamp(min=1e-12)
        mean = mean + gain * (value - mean[1])
        covariance = covariance - gain[:, None] * covariance[1]
        spread = (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]).clamp(min=1e-12).sqrt()
        return float(norm.cdf(float((mean[1] - mean[0]) / spread)))

    def chance_of_better(self, margin: float, seed: int = 0) -> float:
        """Probability that some setting beats the recommended one by more than a margin; small at the end of a run.

        The largest value is sought among the evaluated settings, a Sobol design and points around the best, by joint
        draws from the posterior.

        Args:
            margin: in units of the objective, 0 or more.
            seed: of design and draws.
        """
        with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)  # points close together need a jitter, and get it
            torch.manual_seed(seed)
            points = torch.cat([self.point[None], self.X, _candidates(self.point, seed)])
            draws = self.model.posterior(points).rsample(torch.Size([_DRAWS])).squeeze(-1)
        return float((draws.amax(dim=1) > draws[:, 0] + margin).float().mean())


def fit_model(observations: Observations) -> FittedModel:
    """Fits the model to the observations.

    Args:
        observations: at least one, of one objective.

    Raises:
        ValueError: nothing was observed, or several objectives.
    """
    if observations.Y.shape[1] != 1 or not len(observations.Y):
        raise ValueError(f"observations: {tuple(observations.Y.shape)}; allowed: one or more of one objective")
    return _fitted(observations, _allowed(observations))


def _fitted(observations: Observations, allowed: Sequence[float]) -> FittedModel:
    """The model of one objective, of settings that keep to the constraints with known probabilities."""
    model = fit_surrogate(observations)
    return FittedModel(model, observations.X, observations.numbers, trial_error(model, observations), allowed)


def recommend(observations: Observations) -> Recommendation:
    """The best posterior mean among evaluated settings; see `fit_model`."""
    return fit_model(observations).recommendation


def ranking(observations: Observations) -> list[int]:
    """Trial numbers of the settings that are allowed, the best posterior mean first; of several objectives the front.

    Args:
        observations: at least one.

    Raises:
        ValueError: nothing was observed.
    """
    if observations.Y.shape[1] > 1:
        return [setting[0].number for setting in pareto(observations)]
    settings = fit_model(observations).settings
    least = _least_allowed([setting.allowed for setting in settings])
    best = sorted(settings, key=lambda setting: -setting.mean)
    return [setting.number for setting in best if setting.allowed >= least]


def pareto(observations: Observations) -> list[tuple[Recommendation, ...]]:
    """Evaluated settings of which the model believes that none is better in everything, of those that are allowed.

    Args:
        observations: at least one.

    Returns:
        Of each setting its m objectives, the best of the first objective first.

    Raises:
        ValueError: nothing was observed.
    """
    if not len(observations.Y):
        raise ValueError(f"observations: {tuple(observations.Y.shape)}; allowed: one or more")
    allowed = _allowed(observations)
    by_objective = [_fitted(observations.objective(k), allowed).settings for k in range(observations.Y.shape[1])]
    least = _least_allowed(allowed)
    settings = [setting for setting in zip(*by_objective, strict=True) if setting[0].allowed >= least]
    means = torch.tensor([[estimate.mean for estimate in setting] for setting in settings], dtype=torch.float64)
    kept = [setting for setting, good in zip(settings, is_non_dominated(means).tolist(), strict=True) if good]
    return sorted(kept, key=lambda setting: -setting[0].mean)


def balanced(front: Sequence[tuple[Recommendation, ...]]) -> tuple[Recommendation, ...]:
    """The setting of a front whose worst objective is best, each as a share of its range on the front.

    Args:
        front: at least one setting; see `pareto`.
    """
    means = torch.tensor([[estimate.mean for estimate in setting] for setting in front], dtype=torch.float64)
    low, high = means.amin(dim=0), means.amax(dim=0)
    worst = ((means - low) / (high - low).clamp(min=1e-12)).amin(dim=1)
    return front[int(worst.argmax())]


def _least_allowed(allowed: Sequence[float]) -> float:
    """How probably a recommended setting keeps to the constraints: with 95 %, or as probably as any."""
    return min(_SURE, max(allowed))


def _allowed(observations: Observations) -> list[float]:
    """Probability of each evaluated setting that it keeps to all constraints, which are taken as independent."""
    chances = torch.ones(len(observations.X), dtype=torch.float64)
    for model in fit_constraints(observations):
        with torch.no_grad():
            posterior = model.posterior(observations.X)
            mean, error = posterior.mean[:, 0], posterior.variance[:, 0].sqrt()
        chances = chances * torch.special.ndtr(-mean / error.clamp(min=1e-12))
    found: list[float] = chances.tolist()
    return found


def _estimates(model: Surrogate, X: Tensor, numbers: list[int], allowed: Sequence[float]) -> list[Recommendation]:
    """Posterior of each evaluated setting."""
    with torch.no_grad():
        posterior = model.posterior(X)
        means, errors = posterior.mean[:, 0].tolist(), posterior.variance[:, 0].sqrt().tolist()
    return [
        Recommendation(number, mean, mean - _REACH * error, mean + _REACH * error, chance)
        for number, mean, error, chance in zip(numbers, means, errors, allowed, strict=True)
    ]


def _candidates(best: Tensor, seed: int) -> Tensor:
    """Points all over the cube, and around the best at distances of all sizes."""
    everywhere = SobolEngine(len(best), scramble=True, seed=seed).draw(_ELSEWHERE, dtype=torch.float64)
    reach = _NEAR * torch.rand(_ELSEWHERE, 1, dtype=torch.float64)
    near = best + reach * torch.randn(_ELSEWHERE, len(best), dtype=torch.float64)
    return torch.cat([everywhere, near.clamp(0, 1)])
