from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from botorch.models.likelihoods.pairwise import PairwiseLogitLikelihood
from botorch.models.pairwise_gp import PairwiseGP
from botorch.posteriors.gpytorch import GPyTorchPosterior
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import Tensor

from optimizer.preference import ChoiceGP, PickLikelihood, Picks, fit_choices


def _picks(count: int, dimensions: int, choices: int, shown: int, seed: int = 0) -> tuple[Picks, Tensor]:
    """Picks of a person whose utility is known."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(count, dimensions, generator=generator, dtype=torch.float64)
    utility = -12 * ((X - 0.6) ** 2).sum(dim=1)
    options = []
    for _ in range(choices):
        rows = torch.randperm(count, generator=generator)[:shown]
        gumbel = -torch.rand(shown, generator=generator, dtype=torch.float64).log().neg().log()
        best = int((utility[rows] + gumbel).argmax())
        options.append([int(rows[best]), *(int(row) for row in rows if row != rows[best])])
    return Picks(X, options, list(range(count))), utility


def _set(model: ChoiceGP | PairwiseGP, lengthscale: Tensor, scale: float) -> None:
    model.covar_module.base_kernel.lengthscale = lengthscale
    model.covar_module.outputscale = scale


def test_pairs_are_botorchs_pairwise_model() -> None:
    picks, _ = _picks(12, 3, 20, 2)
    ours = ChoiceGP(picks)
    theirs = PairwiseGP(picks.X, torch.tensor(picks.options), likelihood=PairwiseLogitLikelihood())
    lengthscale = torch.tensor([[0.4, 0.8, 1.5]], dtype=torch.float64)
    for model in (ours, theirs):
        _set(model, lengthscale, 3.0)
    ours.update()
    theirs.set_train_data(picks.X, torch.tensor(picks.options), update_model=True)
    Z = torch.rand(6, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    a, b = ours.eval().posterior(Z), theirs.eval().posterior(Z)
    assert isinstance(b, GPyTorchPosterior)
    torch.testing.assert_close(a.mean, b.mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(a.covariance_matrix, b.covariance_matrix, rtol=0, atol=1e-3)


def test_the_mode_is_that_of_a_generic_optimiser() -> None:
    picks, _ = _picks(10, 2, 12, 4, seed=1)
    picks.options[0] = picks.options[0][:3]  # choices may differ in size
    model = ChoiceGP(picks)
    K = model.covar_module(picks.X).to_dense().detach().numpy() + 1e-9 * np.eye(10)
    inverse = np.linalg.inv(K)

    def minus_log_posterior(f: np.ndarray) -> float:
        picked = sum(f[rows[0]] - logsumexp(f[rows]) for rows in picks.options)
        return float(0.5 * f @ inverse @ f - picked)

    found = minimize(minus_log_posterior, np.zeros(10), method="BFGS", options={"gtol": 1e-6})
    mode = model.posterior(picks.X).mean[:, 0].detach().numpy()
    assert mode == pytest.approx(found.x, abs=1e-3)


def test_evidence_is_about_that_of_sampling_the_prior() -> None:
    picks, _ = _picks(5, 2, 4, 3, seed=2)
    model = ChoiceGP(picks)
    K = model.covar_module(picks.X).to_dense().detach()
    noise = torch.randn(200_000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = noise @ torch.linalg.cholesky(K + 1e-9 * torch.eye(5)).mT
    logs = torch.stack([torch.log_softmax(f[:, rows], dim=1)[:, 0] for rows in picks.options]).sum(dim=0)
    sampled = float(logs.logsumexp(0)) - math.log(len(f))
    assert model.log_evidence().item() == pytest.approx(sampled, abs=0.15)  # Laplace's approximation


def test_the_evidences_gradient_is_that_of_differences() -> None:
    picks, _ = _picks(15, 3, 12, 4)
    model = ChoiceGP(picks)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(model.log_evidence(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        numbers = parameter.data.view(-1)
        values = []
        for step in (1e-5, -2e-5):
            numbers[0] += step
            values.append(float(model.log_evidence()))
        assert float(gradient.view(-1)[0]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)
        numbers[0] += 1e-5


def test_w_has_the_factor_it_is_taken_for() -> None:
    picks, _ = _picks(8, 2, 5, 4)
    picks.options[1] = picks.options[1][:2]
    likelihood = PickLikelihood(picks.options, 8)
    f = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    S = likelihood.factor(f)
    hessian = torch.autograd.functional.hessian(likelihood.log_likelihood, f)
    torch.testing.assert_close(S @ S.mT, -hessian, rtol=0, atol=1e-12)
    gradient = torch.autograd.functional.jacobian(likelihood.log_likelihood, f)
    torch.testing.assert_close(likelihood.gradient(f), gradient, rtol=0, atol=1e-12)


def test_utility_is_learnt() -> None:
    picks, _ = _picks(60, 4, 45, 4)
    model = fit_choices(picks)
    Z = torch.rand(200, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    truth = -12 * ((Z - 0.6) ** 2).sum(dim=1)
    found = model.posterior(Z).mean[:, 0]
    assert torch.corrcoef(torch.stack([found, truth]))[0, 1] > 0.75


def test_one_pick_counts_once() -> None:
    """A pick of one in four is less sure of its best than three independent pairs would be."""
    X = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pick = ChoiceGP(Picks(X, [[0, 1, 2, 3]], [0, 1, 2, 3]))
    pairs = ChoiceGP(Picks(X, [[0, 1], [0, 2], [0, 3]], [0, 1, 2, 3]))
    assert float(pick.posterior(X).variance[0]) > float(pairs.posterior(X).variance[0]) + 0.01


def test_a_dimension_that_nobody_used_changes_nothing() -> None:
    picks, _ = _picks(12, 3, 10, 4)
    grown = Picks(torch.cat([picks.X, torch.zeros(12, 1).double()], dim=1), picks.options, picks.numbers)
    small, large = ChoiceGP(picks), ChoiceGP(grown)
    lengthscale = torch.tensor([[0.4, 0.8, 1.5]], dtype=torch.float64)
    _set(small, lengthscale, 2.0)
    _set(large, torch.cat([lengthscale, torch.tensor([[0.5]], dtype=torch.float64)], dim=1), 2.0)
    for model in (small, large):
        model.update()
    before, after = small.posterior(picks.X), large.posterior(grown.X)
    torch.testing.assert_close(after.mean, before.mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(after.variance, before.variance, rtol=0, atol=1e-9)


def test_the_fit_draws_nothing_from_global_generators() -> None:
    before, numpys = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    fit_choices(_picks(10, 2, 8, 3)[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.get_state()) == numpys  # noqa: NPY002
