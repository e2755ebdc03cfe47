"""The surrogate: a Gaussian process on the unit cube that knows its noise.

Notation:
    n: observations, d: parameters, m: objectives.
    X: n x d in [0, 1], Y: n x 1 (higher is better), Yvar: n x 1, the variance of each observation's noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import Standardize
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, RBFKernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior, LogNormalPrior
from torch import Tensor

from optimizer.observations import Observations

Features = Callable[[Tensor], Tensor]

_LEAST_NOISE = 1e-4  # of the outcomes' variance; less makes the covariance singular


def dimension_scaled_kernel(dimensions: int) -> RBFKernel:
    """RBF kernel with a lengthscale for each dimension, LogNormal(sqrt 2 + log(d) / 2, sqrt 3) a priori.

    The prior grows with the dimension as distances in the unit cube do (Hvarfner et al. 2024, arXiv 2402.02229, eq. 5).
    BoTorch has the same kernel but optimises the lengthscale itself; its logarithm needs a fifth of the steps.

    Args:
        dimensions: d.
    """
    prior = LogNormalPrior(math.sqrt(2) + math.log(dimensions) / 2, math.sqrt(3))
    in_logarithm = GreaterThan(0.025, transform=torch.exp, inv_transform=torch.log, initial_value=prior.mode)
    return RBFKernel(ard_num_dims=dimensions, lengthscale_prior=prior, lengthscale_constraint=in_logarithm)


class CommonScaleKernel(RBFKernel):
    """RBF kernel whose lengthscales are a common one times a factor for each dimension.

    The common one is LogNormal(log(d) / 2 - 0.3, 1) a priori, the factors are LogNormal(0, 0.7): commensurate features,
    as those of a feature map are, count alike until observations say otherwise. Independent priors have to learn 10
    numbers of 30 trials; one lengthscale for all cannot learn which features do not matter. Where the priors were
    chosen, on 240 evaluated settings, this predicts unseen ones best of these three, at 15 observations as well as
    at 80.

    Args:
        dimensions: d.
    """

    def __init__(self, dimensions: int) -> None:
        factor = GreaterThan(1e-2, transform=torch.exp, inv_transform=torch.log, initial_value=1.0)
        prior = LogNormalPrior(0.0, 0.7)
        super().__init__(ard_num_dims=dimensions, lengthscale_prior=prior, lengthscale_constraint=factor)
        middle = math.log(dimensions) / 2 - 0.3
        common = GreaterThan(0.025, transform=torch.exp, inv_transform=torch.log, initial_value=math.exp(middle))
        self.register_parameter("raw_common", torch.nn.Parameter(torch.zeros(1)))
        self.register_constraint("raw_common", common)
        self.register_prior("common_prior", LogNormalPrior(middle, 1.0), _common, _set_common)

    @property
    def common(self) -> Tensor:
        """The lengthscale that all have in common, 1."""
        return self.raw_common_constraint.transform(self.raw_common)

    @common.setter
    def common(self, value: Tensor) -> None:
        self.initialize(raw_common=self.raw_common_constraint.inverse_transform(value))

    def forward(self, x1: Tensor, x2: Tensor, **options: Any) -> Tensor:
        """See GPyTorch's `Kernel`."""
        return super().forward(x1 / self.common, x2 / self.common, **options)


def _common(kernel: CommonScaleKernel) -> Tensor:
    return kernel.common


def _set_common(kernel: CommonScaleKernel, value: Tensor) -> None:
    kernel.common = value


def _with_scale(kernel: RBFKernel) -> ScaleKernel:
    """The kernel with a variance of its own.

    Standardised outcomes have variance 1 with their noise. Where the noise is known to be most of it, the function's
    own variance is less than 1, and a model that takes it for 1 believes the noise. A few outcomes cannot tell, and a
    variance that is too small makes the model sure of what it never saw, so the prior leans towards 1. Of the priors
    that were tried on noisy functions at 12 to 40 observations, Gamma(2, 2) and those centred on the share that is not
    noise are too sure at 12, and those tighter around 1 rank settings less well where noise is most of the variance.
    """
    in_logarithm = GreaterThan(1e-3, transform=torch.exp, inv_transform=torch.log, initial_value=1.0)
    return ScaleKernel(kernel, outputscale_prior=GammaPrior(3.0, 3.0), outputscale_constraint=in_logarithm)


class _Features(InputTransform, torch.nn.Module):
    """What the kernel sees of points."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features
        self.transform_on_train = self.transform_on_eval = self.transform_on_fantasize = True
        self.is_one_to_many = False

    def transform(self, X: Tensor) -> Tensor:
        """See BoTorch's `InputTransform`."""
        return self.features(X)


def build_gp(X: Tensor, Y: Tensor, Yvar: Tensor | None, features: Features | None = None) -> SingleTaskGP:
    """A Gaussian process before its fit.

    Args:
        X: n x d in the unit cube, float64.
        Y: n x 1.
        Yvar: n x 1; None where the noise is to be learnt, which below some hundred observations comes out a tenth of
            what it is.
        features: what the kernel sees of points, ... x d to ... x k in the unit cube, commensurate; by default the
            points themselves, each dimension with a lengthscale of its own.
    """
    kernel: Kernel = (
        dimension_scaled_kernel(X.shape[-1]) if features is None else CommonScaleKernel(features(X).shape[-1])
    )
    if Yvar is not None:
        Yvar = Yvar.clamp(min=_LEAST_NOISE * float(Y.var()) if len(Y) > 1 else _LEAST_NOISE)
        kernel = _with_scale(kernel)
    transform = None if features is None else _Features(features)
    return SingleTaskGP(X, Y, Yvar, covar_module=kernel, outcome_transform=Standardize(1), input_transform=transform)


def fit_gp(X: Tensor, Y: Tensor, Yvar: Tensor | None, features: Features | None = None) -> SingleTaskGP:
    """A Gaussian process at its most probable hyperparameters; see `build_gp`."""
    model = build_gp(X, Y, Yvar, features)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def fit_constraints(observations: Observations) -> list[SingleTaskGP]:
    """A Gaussian process for each constraint that the trials state."""
    constraints = observations.constraints
    if constraints is None:
        return []
    columns = range(len(constraints.names))
    variances = [None if constraints.variances is None else constraints.variances[:, [k]] for k in columns]
    return [fit_gp(observations.X, constraints.values[:, [k]], variances[k], observations.features) for k in columns]


def shorten_lengthscales(model: SingleTaskGP) -> SingleTaskGP:
    """The same model with half the lengthscales: it knows less about what is far from what was seen.

    A few observations of a function that is flat or has one trend where they happen to lie make long lengthscales the
    most probable ones, and the model sure that there is nothing elsewhere (Berkenkamp et al. 2019, arXiv 1901.03357).
    """
    kernel = model.covar_module
    inner = kernel.base_kernel if isinstance(kernel, ScaleKernel) else kernel
    inner.lengthscale = inner.lengthscale.detach() / 2
    return model


def lengthscales(kernel: Kernel) -> Tensor:
    """Of each dimension that the kernel sees, 1 x k; the larger, the less it matters."""
    inner = kernel.base_kernel if isinstance(kernel, ScaleKernel) else kernel
    common = inner.common.detach() if isinstance(inner, CommonScaleKernel) else 1.0
    return common * inner.lengthscale.detach()
