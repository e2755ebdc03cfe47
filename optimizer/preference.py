"""What people like, from their choices: a Gaussian process on utility, seen through picks of one in K.

A pick is one choice among K options: its probability is the softmax of their utilities (Luce 1959). K - 1 independent
pairs, all that BoTorch's `PairwiseGP` can take, would count one click K - 1 times. The posterior is approximated after
Laplace (Rasmussen & Williams 2006, section 3.4), the hyperparameters are the most probable ones.

Notation:
    n: settings that were shown, d: dimensions, C: choices, M: options of all choices together.
    X: n x d in [0, 1], f: n utilities, K: n x n prior covariance, W: n x n, minus the Hessian of the log likelihood.
    S: n x M with S S' = W. B: M x M, I + S' K S, which is well conditioned where K is not.
    a: n, the weights of the mode, f = K a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from botorch.models.model import Model
from botorch.optim.core import scipy_minimize
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.constraints import GreaterThan
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import ScaleKernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from optimizer.gp import dimension_scaled_kernel

_STEPS, _CLOSE = 50, 1e-9  # of Newton's method
_JITTER = 1e-6  # of the prior variance, so that draws at points close together have a Cholesky factor


@dataclass(frozen=True)
class Picks:
    """Choices as rows of settings.

    Attributes:
        X: n x d settings that were shown.
        options: of each choice, rows of X, the picked one first.
        numbers: n trial numbers.
    """

    X: Tensor
    options: list[list[int]]
    numbers: list[int]


class ChoiceGP(Model):
    """Utility given picks; as a BoTorch model, its posterior is that of utility at new settings.

    Utilities are in units of the softmax: one that is higher by 1 is picked e times as often. Their level is not known
    from choices, only differences are.

    Args:
        picks: what was chosen.
    """

    def __init__(self, picks: Picks) -> None:
        super().__init__()
        self.picks = picks
        self.likelihood = PickLikelihood(picks.options, len(picks.X))
        self.train_inputs = (picks.X,)  # where BoTorch looks for good starting points
        in_logarithm = GreaterThan(1e-2, transform=torch.exp, inv_transform=torch.log, initial_value=4.0)
        # A variance of 4: of two settings drawn from the prior, the better one is picked four times in five.
        self.covar_module = ScaleKernel(
            dimension_scaled_kernel(picks.X.shape[1]),
            outputscale_prior=LogNormalPrior(math.log(4.0), 1.0),
            outputscale_constraint=in_logarithm,
        ).double()
        self.update()

    @property
    def num_outputs(self) -> int:
        """One: utility."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """None."""
        return torch.Size()

    def update(self) -> None:
        """Finds the mode anew, after a change of hyperparameters."""
        with torch.no_grad():
            K = self.covar_module(self.picks.X).to_dense()
            f, self.weights = _newton(K, _mode(K, self.likelihood), self.likelihood)
            self.factor = self.likelihood.factor(f)
            self.cholesky = torch.linalg.cholesky(_inner(K, self.factor))

    def log_evidence(self) -> Tensor:
        """Logarithm of the probability of the picks given the hyperparameters, by Laplace; differentiable."""
        K = self.covar_module(self.picks.X).to_dense()
        with torch.no_grad():
            mode = _mode(K, self.likelihood)
        f, a = _newton(K, mode, self.likelihood)  # one more step carries the mode's own derivative
        B = _inner(K, self.likelihood.factor(f))
        return self.likelihood.log_likelihood(f) - 0.5 * a @ f - 0.5 * torch.logdet(B)

    def posterior(
        self, X: Tensor, output_indices: Any = None, observation_noise: Any = False, posterior_transform: Any = None
    ) -> GPyTorchPosterior:
        """Utility at new settings.

        Args:
            X: ... x q x d.
            output_indices: not used, there is one output.
            observation_noise: not used, choices have no noise of their own.
            posterior_transform: applied to the posterior, if given.
        """
        across = self.covar_module(X, self.picks.X).to_dense()
        V = torch.linalg.solve_triangular(self.cholesky, self.factor.mT @ across.mT, upper=False)
        jitter = _JITTER * self.covar_module.outputscale * torch.eye(X.shape[-2], dtype=X.dtype)
        covariance = self.covar_module(X).to_dense() - V.mT @ V + jitter
        posterior = GPyTorchPosterior(MultivariateNormal(across @ self.weights, covariance))
        return posterior if posterior_transform is None else posterior_transform(posterior)


def fit_choices(picks: Picks) -> ChoiceGP:
    """Utility at the most probable hyperparameters.

    Args:
        picks: at least one choice.
    """
    model = ChoiceGP(picks)
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    priors = list(model.covar_module.named_priors())

    def loss() -> tuple[Tensor, Sequence[Tensor | None]]:
        prior = sum(density.log_prob(value(module)).sum() for _, module, density, value, _ in priors)
        minus = -(model.log_evidence() + prior)
        return minus, torch.autograd.grad(minus, list(parameters.values()))

    scipy_minimize(loss, parameters, options={"maxiter": 100})
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    model.update()
    return model.eval()


class PickLikelihood:
    """Probability of picks given utility.

    Args:
        options: of each choice, rows of f, the picked one first.
        count: n.
    """

    def __init__(self, options: list[list[int]], count: int) -> None:
        most = max(map(len, options))
        self.there = torch.tensor([[place < len(rows) for place in range(most)] for rows in options])
        self.shown = torch.zeros(len(options), most, count, dtype=torch.float64)  # one-hot
        for choice, rows in enumerate(options):
            self.shown[choice, range(len(rows)), rows] = 1.0

    def log_probabilities(self, f: Tensor) -> Tensor:
        """Of each option to be picked, C x K; minus infinity where a choice had fewer."""
        return torch.log_softmax((self.shown @ f).masked_fill(~self.there, -math.inf), dim=1)

    def log_likelihood(self, f: Tensor) -> Tensor:
        """Of all picks."""
        return self.log_probabilities(f)[:, 0].sum()

    def gradient(self, f: Tensor) -> Tensor:
        """Of the log likelihood, n."""
        picked = torch.zeros_like(self.there, dtype=f.dtype)
        picked[:, 0] = 1.0
        return torch.einsum("ckn,ck->n", self.shown, picked - self.log_probabilities(f).exp())

    def factor(self, f: Tensor) -> Tensor:
        """S: for each choice diag(r) - p r', where p are its probabilities and r their roots."""
        logarithms = self.log_probabilities(f)
        p, r = logarithms.exp(), (0.5 * logarithms).exp()
        blocks = torch.diag_embed(r) - p[:, :, None] * r[:, None, :]
        return torch.einsum("ckn,ckj->ncj", self.shown, blocks).flatten(1)


def _inner(K: Tensor, S: Tensor) -> Tensor:
    return torch.eye(S.shape[1], dtype=K.dtype) + S.mT @ K @ S


def _newton(K: Tensor, f: Tensor, likelihood: PickLikelihood) -> tuple[Tensor, Tensor]:
    """One step towards the mode; the new f and its weights a."""
    S = likelihood.factor(f)
    b = S @ (S.mT @ f) + likelihood.gradient(f)
    a = b - S @ torch.linalg.solve(_inner(K, S), S.mT @ (K @ b))
    return K @ a, a


def _mode(K: Tensor, likelihood: PickLikelihood) -> Tensor:
    """The most probable utilities: Newton's method, with halved steps where a whole one does not help."""
    a = torch.zeros(len(K), dtype=K.dtype)
    best = likelihood.log_likelihood(a)
    for _ in range(_STEPS):
        step, share = _newton(K, K @ a, likelihood)[1] - a, 1.0
        while (value := _log_posterior(K, a + share * step, likelihood)) < best and share > _CLOSE:
            share /= 2
        if value - best < _CLOSE:
            break
        a, best = a + share * step, value
    return K @ a


def _log_posterior(K: Tensor, a: Tensor, likelihood: PickLikelihood) -> Tensor:
    return likelihood.log_likelihood(K @ a) - 0.5 * a @ K @ a
