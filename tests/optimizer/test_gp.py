from __future__ import annotations

import math

import pytest
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from optimizer.gp import build_gp, dimension_scaled_kernel, fit_gp, lengthscales, shorten_lengthscales


def _data(count: int, dimensions: int, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(count, dimensions, generator=generator, dtype=torch.float64)
    clean = (3 * X[:, :1]).sin() + X[:, 1:2] ** 2
    Y = clean + noise * torch.randn(count, 1, generator=generator, dtype=torch.float64)
    return X, Y, torch.full_like(Y, noise**2)


def test_posterior_is_the_textbooks() -> None:
    X, Y, Yvar = _data(12, 3)
    model = build_gp(X, Y, Yvar)
    model.eval()
    Z = torch.rand(5, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    lengthscale, variance_of_f = lengthscales(model.covar_module), model.covar_module.outputscale
    mean, scale = Y.mean(), Y.std()

    def k(a: Tensor, b: Tensor) -> Tensor:
        return variance_of_f * torch.exp(-0.5 * ((a[:, None] - b[None]) / lengthscale).pow(2).sum(-1))

    covariance = k(X, X) + torch.diag(Yvar[:, 0] / scale**2)
    expected = k(Z, X) @ torch.linalg.solve(covariance, (Y - mean) / scale) * scale + mean
    variance = (k(Z, Z).diag() - (k(Z, X) @ torch.linalg.solve(covariance, k(X, Z))).diag()) * scale**2
    posterior = model.posterior(Z)
    torch.testing.assert_close(posterior.mean, expected.detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(posterior.variance[:, 0], variance.detach(), rtol=0, atol=1e-6)


def test_the_fit_is_botorchs_where_the_noise_is_learnt() -> None:
    X, Y, _ = _data(40, 6)
    ours, theirs = fit_gp(X, Y, None), SingleTaskGP(X, Y)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(theirs.likelihood, theirs))
    Z = torch.rand(50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(ours.posterior(Z).mean, theirs.posterior(Z).mean, rtol=0, atol=0.01)


def test_known_noise_is_not_taken_for_the_function() -> None:
    X, Y, Yvar = _data(40, 4, noise=2.0)
    found = fit_gp(X, Y, Yvar).posterior(X).mean
    truth = (3 * X[:, :1]).sin() + X[:, 1:2] ** 2
    assert (found - truth).pow(2).mean().sqrt() < 0.5 * (Y - truth).pow(2).mean().sqrt()


def test_the_prior_is_dimension_scaled() -> None:
    for dimensions in (2, 20):
        prior = dimension_scaled_kernel(dimensions).lengthscale_prior
        assert float(prior.loc) == pytest.approx(math.sqrt(2) + math.log(dimensions) / 2)
        assert float(prior.scale) == pytest.approx(math.sqrt(3))
        start = dimension_scaled_kernel(dimensions).lengthscale
        torch.testing.assert_close(start.detach().float(), prior.mode.expand(1, dimensions).float())


def test_lengthscales_of_features_are_a_common_one_times_factors() -> None:
    X, Y, Yvar = _data(10, 4)
    model = build_gp(X, Y, Yvar, lambda points: points[..., :3]).eval()
    kernel = model.covar_module.base_kernel
    assert lengthscales(model.covar_module).tolist() == [pytest.approx([math.exp(math.log(3) / 2 - 0.3)] * 3)]
    priors = {name: density for name, _, density, _, _ in kernel.named_priors()}
    assert float(priors["common_prior"].loc) == pytest.approx(math.log(3) / 2 - 0.3)
    kernel.common, kernel.lengthscale = torch.tensor(0.5), torch.tensor([[1.0, 2.0, 4.0]])
    apart = (X[:, None, :3] - X[None, :, :3]) / torch.tensor([0.5, 1.0, 2.0])
    found = kernel(X[:, :3]).to_dense().detach()
    torch.testing.assert_close(found, torch.exp(-0.5 * apart.square().sum(-1)), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        lengthscales(shorten_lengthscales(model).covar_module), torch.tensor([[0.25, 0.5, 1.0]]).double()
    )


def test_a_dimension_that_nobody_used_changes_nothing() -> None:
    X, Y, Yvar = _data(15, 4)
    grown = torch.cat([X, torch.zeros(15, 1, dtype=torch.float64)], dim=1)
    small, large = build_gp(X, Y, Yvar), build_gp(grown, Y, Yvar)
    lengthscale = torch.tensor([[0.4, 0.7, 1.0, 2.0]], dtype=torch.float64)
    small.covar_module.base_kernel.lengthscale = lengthscale
    large.covar_module.base_kernel.lengthscale = torch.cat(
        [lengthscale, torch.tensor([[0.5]], dtype=torch.float64)], dim=1
    )
    before, after = (model.eval().posterior(points) for model, points in ((small, X), (large, grown)))
    torch.testing.assert_close(after.mean, before.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(after.variance, before.variance, rtol=0, atol=1e-10)


def test_more_noise_is_believed_less() -> None:
    X, Y, Yvar = _data(20, 2)
    Y[0] += 3
    for factor, low, high in ((1.0, 2.0, 4.0), (1e4, -1.0, 0.5)):
        noise = Yvar.clone()
        noise[0] *= factor
        pull = float((fit_gp(X, Y, noise).posterior(X[:1]).mean - (Y[0] - 3)).detach())
        assert low < pull < high


@pytest.mark.parametrize("count", [1, 2])
def test_few_and_equal_observations_do_no_harm(count: int) -> None:
    X = torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = build_gp(X, torch.ones(count, 1, dtype=torch.float64), torch.zeros(count, 1, dtype=torch.float64))
    assert torch.isfinite(model.eval().posterior(X).mean).all()
