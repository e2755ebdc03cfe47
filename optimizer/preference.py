"""What people like, from choices and ratings: a Gaussian process on utility.

What is judged is an item: a setting with the luck of its draw, shown in a look together with others. Its utility is
that of the setting, plus the luck, plus a drift that the items of a look share (what else changed meanwhile, which
choices within a look do not see and ratings do). So what is said thrice of one item does not count as thrice seen of
its setting. The posterior is approximated after Laplace (Rasmussen & Williams 2006, section 3.4), which is exact for
ratings alone; the hyperparameters are the most probable ones.

Notation: that of `optimizer.choices`, and
    X: n x d in [0, 1], K: n x n prior covariance of the items' utilities.
    B: M x M, I + S' K S, which is well conditioned where K is not.
    m: n, the offsets. a: n, the weights of the mode, f = m + K a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from botorch.optim.core import scipy_minimize
from gpytorch.constraints import GreaterThan
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import ScaleKernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor, nn

from optimizer.choices import PreferenceData, PreferenceLikelihood
from optimizer.gp import CommonScaleKernel, Features, dimension_scaled_kernel
from optimizer.one_outcome import OneOutcomeModel

_STEPS, _CLOSE = 50, 1e-9  # of Newton's method
_ITERATIONS = 40  # of the fit; more change the posterior by less than its own error
_JITTER = 1e-6  # of the prior variance, so that draws at points close together have a Cholesky factor
# Mean and standard deviation a priori. Variances of setting, luck and drift: of two settings drawn from the prior and
# shown with their luck, the better one is picked two times in three.
_SETTING = (math.log(2.0), 1.0)
_PRIORS = {
    "log_luck": (math.log(1.0), 1.0),
    "log_drift": (math.log(1.0), 1.0),
    "log_scale": (math.log(0.12), 0.7),  # of ratings from 0 to 1
    "level": (0.5, 0.25),
}


class PreferenceGP(OneOutcomeModel):
    """Utility given choices and ratings; as a BoTorch model, its posterior is that of the utility of new settings.

    Utilities are in units of the softmax: one that is higher by 1 is picked e times as often. Their level is not known
    from choices, only differences are.

    Args:
        data: what was said.
        features: what the kernel sees of settings, ... x d to ... x k in the unit cube, commensurate; see
            `optimizer.gp.build_gp`. By default the settings themselves.
    """

    log_luck: nn.Parameter
    log_drift: nn.Parameter
    log_scale: nn.Parameter
    level: nn.Parameter

    def __init__(self, data: PreferenceData, features: Features | None = None) -> None:
        super().__init__()
        self.likelihood = PreferenceLikelihood(data)
        self.features = features
        self.X = data.X if features is None else features(data.X)
        self.offsets = torch.zeros(len(self.X)).double() if data.offsets is None else data.offsets
        groups = torch.tensor(data.groups)
        self.together = (groups[:, None] == groups).double()
        in_logarithm = GreaterThan(1e-2, transform=torch.exp, inv_transform=torch.log, initial_value=2.0)
        self.covar_module = ScaleKernel(
            (dimension_scaled_kernel if features is None else CommonScaleKernel)(self.X.shape[1]),
            outputscale_prior=LogNormalPrior(*_SETTING),
            outputscale_constraint=in_logarithm,
        ).double()
        for name, (mean, _) in _PRIORS.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(mean, dtype=torch.float64)))
        self.weights = torch.zeros(len(self.X), dtype=torch.float64)
        self.update()

    @property
    def luck(self) -> Tensor:
        """Variance of an item's utility about that of its setting."""
        return self.log_luck.exp()

    def _prior(self) -> Tensor:
        """K."""
        own = torch.eye(len(self.X), dtype=torch.float64)
        return self.covar_module(self.X).to_dense() + self.luck * own + self.log_drift.exp() * self.together

    def update(self) -> None:
        """Finds the mode anew, after a change of hyperparameters."""
        with torch.no_grad():
            K = self._prior()
            f, self.weights = self._newton(K, self._mode(K))
            self.utilities = f
            self.factor = self.likelihood.factor(f, self.log_scale.exp())
            self.cholesky = torch.linalg.cholesky(_inner(K, self.factor))

    def log_evidence(self) -> Tensor:
        """Logarithm of the probability of the data given the hyperparameters, by Laplace; differentiable."""
        K = self._prior()
        with torch.no_grad():
            mode = self._mode(K)
        f, a = self._newton(K, mode)  # one more step carries the mode's own derivative
        scale = self.log_scale.exp()
        B = _inner(K, self.likelihood.factor(f, scale))
        density = -0.5 * a @ (f - self.offsets) - 0.5 * torch.logdet(B)
        return self.likelihood.log_likelihood(f, self.level, scale) + density

    def log_prior(self) -> Tensor:
        """Logarithm of the prior density of the hyperparameters, up to a constant."""
        kernel = sum(
            density.log_prob(value(module)).sum() for _, module, density, value, _ in self.covar_module.named_priors()
        )
        own = sum(-0.5 * ((getattr(self, name) - mean) / error) ** 2 for name, (mean, error) in _PRIORS.items())
        return kernel + own

    def at(self, X: Tensor) -> MultivariateNormal:
        """Utility at new settings beyond what was expected of them, without luck and drift; see `OneOutcomeModel`."""
        if self.features is not None:
            X = self.features(X)
        across = self.covar_module(X, self.X).to_dense()
        V = torch.linalg.solve_triangular(self.cholesky, self.factor.mT @ across.mT, upper=False)
        jitter = _JITTER * self.covar_module.outputscale * torch.eye(X.shape[-2], dtype=X.dtype)
        covariance = self.covar_module(X).to_dense() - V.mT @ V + jitter
        return MultivariateNormal(across @ self.weights, covariance)

    def _newton(self, K: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        """One step towards the mode; the new f and its weights a."""
        scale = self.log_scale.exp()
        S = self.likelihood.factor(f, scale)
        b = S @ (S.mT @ (f - self.offsets)) + self.likelihood.gradient(f, self.level, scale)
        a = b - S @ torch.linalg.solve(_inner(K, S), S.mT @ (K @ b))
        return self.offsets + K @ a, a

    def _mode(self, K: Tensor) -> Tensor:
        """The most probable utilities: Newton's method from the last mode, its steps halved where that helps."""
        a = self.weights
        best = self._log_posterior(K, a)
        for _ in range(_STEPS):
            step, share = self._newton(K, self.offsets + K @ a)[1] - a, 1.0
            while (value := self._log_posterior(K, a + share * step)) < best and share > _CLOSE:
                share /= 2
            if value - best < _CLOSE:
                break
            a, best = a + share * step, value
        self.weights = a
        return self.offsets + K @ a

    def _log_posterior(self, K: Tensor, a: Tensor) -> Tensor:
        return self.likelihood.log_likelihood(self.offsets + K @ a, self.level, self.log_scale.exp()) - 0.5 * a @ K @ a


def fit_preference(data: PreferenceData, features: Features | None = None) -> PreferenceGP:
    """Utility at the most probable hyperparameters.

    Args:
        data: at least one.
        features: see `PreferenceGP`.
    """
    model = PreferenceGP(data, features)
    parameters: dict[str, Tensor] = dict(model.named_parameters())

    def loss() -> tuple[Tensor, Sequence[Tensor | None]]:
        minus = -(model.log_evidence() + model.log_prior())
        return minus, torch.autograd.grad(minus, list(parameters.values()))

    scipy_minimize(loss, parameters, options={"maxiter": _ITERATIONS})
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    model.update()
    return model.eval()


def _inner(K: Tensor, S: Tensor) -> Tensor:
    return torch.eye(S.shape[1], dtype=K.dtype) + S.mT @ K @ S
