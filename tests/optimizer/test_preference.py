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

from optimizer.choices import PreferenceData
from optimizer.preference import PreferenceGP, fit_preference

NONE = -40.0  # logarithm of a variance that is none


def _utility(X: Tensor) -> Tensor:
    return -12 * ((X - 0.6) ** 2).sum(dim=1)


def _simulated(
    count: int, dimensions: int, choices: int, shown: int = 4, ratings: int = 0, seed: int = 0
) -> tuple[PreferenceData, Tensor]:
    """What a person says whose utility is known."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(count, dimensions, generator=generator, dtype=torch.float64)
    utility = _utility(X)
    picked = []
    for _ in range(choices):
        rows = torch.randperm(count, generator=generator)[:shown]
        gumbel = -torch.rand(shown, generator=generator, dtype=torch.float64).log().neg().log()
        best = int((utility[rows] + gumbel).argmax())
        picked.append([int(rows[best]), *(int(row) for row in rows if row != rows[best])])
    rated = torch.randperm(count, generator=generator)[:ratings].tolist()
    noise = 0.1 * torch.randn(ratings, generator=generator, dtype=torch.float64)
    values = [(row, 0.6 + 0.1 * float(utility[row] + e), 0.1) for row, e in zip(rated, noise, strict=True)]
    return PreferenceData(X, [row // 4 for row in range(count)], picked, values, list(range(count))), utility


def _set(
    model: PreferenceGP, lengthscale: Tensor, scale: float, luck: float = math.log(0.5), drift: float = math.log(0.7)
) -> None:
    model.covar_module.base_kernel.lengthscale = lengthscale
    model.covar_module.outputscale = scale
    model.log_luck.data.fill_(luck)
    model.log_drift.data.fill_(drift)
    model.update()


def test_pairs_are_botorchs_pairwise_model() -> None:
    data, _ = _simulated(12, 3, 20, 2)
    pairs = torch.tensor(data.choices)
    ours = PreferenceGP(data)
    theirs = PairwiseGP(data.X, pairs, likelihood=PairwiseLogitLikelihood())
    lengthscale = torch.tensor([[0.4, 0.8, 1.5]], dtype=torch.float64)
    _set(ours, lengthscale, 3.0, NONE, NONE)
    theirs.covar_module.base_kernel.lengthscale = lengthscale
    theirs.covar_module.outputscale = 3.0
    theirs.set_train_data(data.X, pairs, update_model=True)
    Z = torch.rand(6, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    a, b = ours.eval().posterior(Z), theirs.eval().posterior(Z)
    assert isinstance(b, GPyTorchPosterior)
    torch.testing.assert_close(a.mean, b.mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(a.covariance_matrix, b.covariance_matrix, rtol=0, atol=1e-3)


def test_ratings_alone_are_regression_in_closed_form() -> None:
    """Rasmussen & Williams 2006, eq. 2.23 to 2.25, of ratings of utility; evidence: eq. 2.30."""
    data, _ = _simulated(10, 2, 0, ratings=8)
    data = PreferenceData(data.X, data.groups, [], [*data.ratings, (0, 0.3, 0.4)], data.numbers)
    model = PreferenceGP(data)
    _set(model, torch.tensor([[0.4, 0.8]], dtype=torch.float64), 3.0)
    level, scale = model.level.item(), model.log_scale.exp().item()
    rows, y, errors = (np.array(column) for column in zip(*data.ratings, strict=True))
    X, Z = data.X.numpy(), np.random.default_rng(0).random((5, 2))

    def kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        return 3.0 * np.exp(-0.5 * (((A[:, None] - B[None]) / [0.4, 0.8]) ** 2).sum(-1))

    groups = np.array(data.groups)
    items = kernel(X, X) + 0.5 * np.eye(10) + 0.7 * (groups[:, None] == groups[None])
    C = scale**2 * items[np.ix_(rows, rows)] + np.diag(errors**2)
    across = scale * kernel(Z, X[rows])
    mean = across @ np.linalg.solve(C, y - level)
    covariance = kernel(Z, Z) - across @ np.linalg.solve(C, across.T)
    found = model.posterior(torch.from_numpy(Z))
    assert found.mean[:, 0].detach().numpy() == pytest.approx(mean, abs=1e-8)
    assert found.covariance_matrix.detach().numpy() == pytest.approx(covariance, abs=1e-5)
    residual = y - level
    evidence = -0.5 * residual @ np.linalg.solve(C, residual) - 0.5 * np.linalg.slogdet(2 * np.pi * C)[1]
    assert model.log_evidence().item() == pytest.approx(evidence, abs=1e-8)


def test_the_mode_is_that_of_a_generic_optimiser() -> None:
    data, _ = _simulated(10, 2, 12, 4, ratings=5, seed=1)
    data = PreferenceData(  # choices may differ in size
        data.X, data.groups, [data.choices[0][:3], *data.choices[1:]], data.ratings, range(10)
    )
    model = PreferenceGP(data)
    _set(model, torch.tensor([[0.4, 0.8]], dtype=torch.float64), 3.0)
    inverse = np.linalg.inv(model._prior().detach().numpy())
    level, scale = model.level.item(), model.log_scale.exp().item()

    def minus_log_posterior(f: np.ndarray) -> float:
        picked = sum(f[rows[0]] - logsumexp(f[list(rows)]) for rows in data.choices)
        rated = sum(-0.5 * ((y - level - scale * f[row]) / s) ** 2 for row, y, s in data.ratings)
        return float(0.5 * f @ inverse @ f - picked - rated)

    found = minimize(minus_log_posterior, np.zeros(10), method="BFGS", options={"gtol": 1e-7})
    assert model.utilities.numpy() == pytest.approx(found.x, abs=1e-4)


def test_evidence_is_about_that_of_sampling_the_prior() -> None:
    data, _ = _simulated(5, 2, 4, 3, ratings=2, seed=2)
    model = PreferenceGP(data)
    K = model._prior().detach()
    noise = torch.randn(200_000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = noise @ torch.linalg.cholesky(K).mT
    logs = torch.stack([torch.log_softmax(f[:, list(rows)], dim=1)[:, 0] for rows in data.choices]).sum(dim=0)
    for row, value, error in data.ratings:
        rating = torch.distributions.Normal(model.level + model.log_scale.exp() * f[:, row], error)
        logs = logs + rating.log_prob(torch.tensor(value)).detach()
    sampled = float(logs.logsumexp(0)) - math.log(len(f))
    assert model.log_evidence().item() == pytest.approx(sampled, abs=0.15)  # Laplace's approximation


def test_the_evidences_gradient_is_that_of_differences() -> None:
    data, _ = _simulated(15, 3, 12, 4, ratings=6)
    model = PreferenceGP(data)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(model.log_evidence() + model.log_prior(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        numbers = parameter.data.view(-1)
        values = []
        for step in (1e-5, -2e-5):
            numbers[0] += step
            values.append(float(model.log_evidence() + model.log_prior()))
        assert float(gradient.view(-1)[0]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3, abs=1e-6)
        numbers[0] += 1e-5


@pytest.mark.parametrize(("choices", "ratings"), [(45, 0), (0, 50), (25, 25)])
def test_utility_is_learnt(choices: int, ratings: int) -> None:
    data, _ = _simulated(60, 4, choices, 4, ratings)
    model = fit_preference(data)
    Z = torch.rand(200, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    found = model.posterior(Z).mean[:, 0]
    assert torch.corrcoef(torch.stack([found, _utility(Z)]))[0, 1] > 0.7


def test_one_pick_counts_once() -> None:
    """A pick of one in four is less sure of its best than three independent pairs would be."""
    X = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pick, pairs = (
        PreferenceGP(PreferenceData(X, [0] * 4, choices, [], range(4)))
        for choices in ([[0, 1, 2, 3]], [[0, 1], [0, 2], [0, 3]])
    )
    assert float(pick.posterior(X).variance[0]) > float(pairs.posterior(X).variance[0]) + 0.01


def test_saying_it_again_of_one_item_tells_less_than_seeing_another_of_the_setting() -> None:
    X = torch.tensor([[0.2], [0.8], [0.2], [0.8]], dtype=torch.float64)
    same, other = (
        PreferenceGP(PreferenceData(X, [0, 0, 1, 1], choices, [], range(4)))
        for choices in ([[0, 1]] * 2, [[0, 1], [2, 3]])
    )
    for model in (same, other):
        _set(model, torch.tensor([[0.3]], dtype=torch.float64), 2.0, math.log(4.0))
    gain = [float(model.posterior(X).mean[0] - model.posterior(X).mean[1]) for model in (same, other)]
    assert 0 < gain[0] < gain[1] - 0.1


def test_a_drift_between_looks_is_not_taken_for_the_settings() -> None:
    """Later looks are rated higher whatever the setting; within each the second setting is rated higher."""
    X = torch.tensor([[0.8], [0.2]] * 4, dtype=torch.float64)
    X[6:] -= 0.15  # the last look, by far the best rated, happens to lie to the left
    ratings = [(row, 0.2 * (row // 2) + 0.1 * (row % 2 == 0), 0.05) for row in range(8)]
    model = fit_preference(PreferenceData(X, [row // 2 for row in range(8)], [], ratings, range(8)))
    left, right = model.posterior(torch.tensor([[0.1], [0.8]]).double()).mean[:, 0]
    assert right > left


def test_a_dimension_that_nobody_used_changes_nothing() -> None:
    data, _ = _simulated(12, 3, 10, 4, ratings=4)
    wide = torch.cat([data.X, torch.zeros(12, 1).double()], dim=1)
    small = PreferenceGP(data)
    large = PreferenceGP(PreferenceData(wide, data.groups, data.choices, data.ratings, data.numbers))
    lengthscale = torch.tensor([[0.4, 0.8, 1.5]], dtype=torch.float64)
    _set(small, lengthscale, 2.0)
    _set(large, torch.cat([lengthscale, torch.tensor([[0.5]], dtype=torch.float64)], dim=1), 2.0)
    before, after = small.posterior(data.X), large.posterior(wide)
    torch.testing.assert_close(after.mean, before.mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(after.variance, before.variance, rtol=0, atol=1e-9)


def test_what_is_expected_of_items_need_not_be_said() -> None:
    """Choices that follow from the offsets leave nothing to learn; the same choices without offsets do."""
    data, utility = _simulated(24, 2, 30)
    expected = PreferenceData(data.X, data.groups, data.choices, [], data.numbers, utility)
    surprises = [fit_preference(choices).posterior(data.X).mean[:, 0] for choices in (expected, data)]
    left, learnt = (float(torch.cov(torch.stack([surprise, utility]))[0, 1]) for surprise in surprises)
    assert abs(left) < 0.3 * learnt


def test_the_fit_draws_nothing_from_global_generators() -> None:
    before, numpys = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    fit_preference(_simulated(10, 2, 8, 3)[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.get_state()) == numpys  # noqa: NPY002
