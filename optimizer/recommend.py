"""What to use in the end, and when to stop: read off the model, not off the luckiest observation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from botorch.models import SingleTaskGP
from scipy.stats import norm
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.gp import fit_gp, lengthscales
from optimizer.observations import Observations

_ELSEWHERE = 512  # points of the space that might be better, besides those near the best
_DRAWS = 512


@dataclass(frozen=True)
class Recommendation:
    """The evaluated setting that the model believes in most.

    Attributes:
        number: of its trial.
        mean: of the posterior, higher is better.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    number: int
    mean: float
    low: float
    high: float


def recommend(seen: Observations) -> Recommendation:
    """The best posterior mean among evaluated settings.

    Args:
        seen: at least one observation of one objective.

    Raises:
        ValueError: nothing was observed, or several objectives.
    """
    if seen.Y.shape[1] != 1 or not len(seen.Y):
        raise ValueError(f"observations: {tuple(seen.Y.shape)}; allowed: one or more of one objective")
    if len(seen.Y) == 1:
        value = float(seen.Y)
        error = 0.0 if seen.Yvar is None else float(seen.Yvar) ** 0.5
        return _recommendation(seen.numbers[0], value, error)
    model = fit_gp(seen.X, seen.Y, seen.Yvar)
    with torch.no_grad():
        posterior = model.posterior(seen.X)
    best = int(posterior.mean.argmax())
    return _recommendation(seen.numbers[best], float(posterior.mean[best]), float(posterior.variance[best]) ** 0.5)


def _recommendation(number: int, mean: float, error: float) -> Recommendation:
    reach = float(norm.ppf(0.975)) * error
    return Recommendation(number, mean, mean - reach, mean + reach)


def chance_of_better(seen: Observations, margin: float, seed: int = 0) -> float:
    """Probability that some setting beats the recommended one by more than a margin; a run may stop when it is small.

    The largest value is sought among the evaluated settings, a Sobol design and points around the best, by joint draws
    from the posterior.

    Args:
        seen: at least two observations of one objective.
        margin: in units of the objective, 0 or more.
        seed: of design and draws.
    """
    model = fit_gp(seen.X, seen.Y, seen.Yvar)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        best = int(model.posterior(seen.X).mean.argmax())
        points = torch.cat([seen.X[[best]], seen.X, _candidates(model, seen.X[best], seed)])
        draws = model.posterior(points).rsample(torch.Size([_DRAWS])).squeeze(-1)
    return float((draws.amax(dim=1) > draws[:, 0] + margin).float().mean())


def _candidates(model: SingleTaskGP, best: Tensor, seed: int) -> Tensor:
    """Points all over the cube, and around the best at half a lengthscale."""
    everywhere = SobolEngine(len(best), scramble=True, seed=seed).draw(_ELSEWHERE, dtype=torch.float64)
    reach = 0.5 * lengthscales(model).clamp(max=1.0)
    near = best + reach * torch.randn(_ELSEWHERE, len(best), dtype=torch.float64)
    return torch.cat([everywhere, near.clamp(0, 1)])
