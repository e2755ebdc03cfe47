"""A score that stands in for a value: its scale, its offset and where it is wrong are learnt of the values.

`value = offset + scale * score + rest`, with Gaussian processes for the score, which is known of more settings, and for
the rest: the autoregressive model of Kennedy and O'Hagan 2000, "Predicting the output from a complex computer code when
fast approximations are available", eq. 1. As scores are known wherever values are, both can be fitted one after
the other (Le Gratiet and Garnier 2014, "Recursive co-kriging model for design of computer experiments with multiple
levels of fidelity").

Notation:
    n: values, N: scores, N >= n, d: dimensions.
"""

from __future__ import annotations

from typing import cast

import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from linear_operator import to_linear_operator
from torch import Tensor

from optimizer.gp import Features, fit_gp
from optimizer.one_outcome import OneOutcomeModel

_TURNS = 2  # of scale and rest; more change neither
_SCALE, _SCALE_ERROR = 0.5, 0.5  # a priori, in standard deviations of values by those of scores
_LEAST = 1e-9


class StandInGP(OneOutcomeModel):
    """Values given values of some settings and scores of more; as a BoTorch model.

    Args:
        score: model of the score.
        rest: model of what values are beyond the scaled score, offset included.
        scale: by what a value grows with the score.
        scale_variance: of it.
        centre: score at which the scale says nothing of the value.
    """

    def __init__(
        self, score: SingleTaskGP, rest: SingleTaskGP, scale: float, scale_variance: float, centre: float
    ) -> None:
        super().__init__()
        self.score, self.rest = score, rest
        self.scale, self.scale_variance, self.centre = scale, scale_variance, centre

    def at(self, X: Tensor) -> MultivariateNormal:
        """Values of settings; see `OneOutcomeModel`."""
        posteriors = (cast("GPyTorchPosterior", model.posterior(X)) for model in (self.score, self.rest))
        score, rest = (posterior.distribution for posterior in posteriors)
        away = score.mean - self.centre
        unsure = self.scale_variance * away[..., :, None] * away[..., None, :]
        covariance = rest.covariance_matrix + self.scale**2 * score.covariance_matrix + unsure
        # As an operator it gets a jitter where points are so close together that it has no Cholesky factor.
        mean = rest.mean + self.scale * score.mean
        return MultivariateNormal(mean, to_linear_operator(covariance))


def fit_stand_in(
    X: Tensor, Y: Tensor, Yvar: Tensor | None, scores: Tensor, score: SingleTaskGP, features: Features | None = None
) -> StandInGP:
    """Scale, offset and rest at their most probable, in turns.

    Args:
        X: n x d, two or more.
        Y: n x 1 values.
        Yvar: n x 1 variances of their noise, or None.
        scores: n x 1, of the same settings.
        score: model of the score.
        features: see `optimizer.gp.build_gp`.
    """
    unit = float(Y.std() / scores.std().clamp(min=_LEAST))
    centre = float(scores.mean())
    V = float(Y.var().clamp(min=_LEAST)) * torch.eye(len(Y), dtype=Y.dtype)
    scale, variance = _scale(Y, scores, V, unit)
    for _ in range(_TURNS):
        rest = fit_gp(X, Y - scale * scores, Yvar, features)
        scale, variance = _scale(Y, scores, _covariance(rest, X), unit)
    rest = fit_gp(X, Y - scale * scores, Yvar, features)
    return StandInGP(score, rest, scale, variance, centre)


def _scale(Y: Tensor, scores: Tensor, V: Tensor, unit: float) -> tuple[float, float]:
    """Scale and its variance by generalised least squares, with an offset that is free; V is n x n."""
    columns = torch.cat([torch.ones_like(scores), scores], dim=1)
    precision = torch.diag(torch.tensor([0.0, (_SCALE_ERROR * unit) ** -2], dtype=Y.dtype))
    weighed = torch.linalg.solve(V, columns)
    inverse = torch.linalg.inv(columns.mT @ weighed + precision)
    prior = precision @ torch.tensor([[0.0], [_SCALE * unit]], dtype=Y.dtype)
    found = inverse @ (weighed.mT @ Y + prior)
    return float(found[1]), float(inverse[1, 1])


def _covariance(model: SingleTaskGP, X: Tensor) -> Tensor:
    """Of the values that a model was fitted to, noise included, n x n."""
    with torch.no_grad():
        prior = model.covar_module(model.transform_inputs(X)).to_dense()
        noise = model.likelihood.noise.expand(len(X)).diag()
        spread = float(cast("Standardize", model.outcome_transform).stdvs)
        return spread**2 * (prior + noise)
