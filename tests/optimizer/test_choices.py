from __future__ import annotations

import pytest
import torch
from torch import Tensor

from optimizer.choices import PreferenceData, PreferenceLikelihood

LEVEL, SCALE = torch.tensor(0.4).double(), torch.tensor(0.3).double()
CHOICES = [[0, 1, 2], [3, 4], [5, 0, 4, 2]]
RATINGS = [(1, 0.75, 0.2), (1, 0.5, 0.1), (5, 0.0, 0.3)]


REJECTIONS = [[2, 3], [1, 0, 5]]


def _likelihood(
    choices: list[list[int]], ratings: list[tuple[int, float, float]], rejections: list[list[int]]
) -> PreferenceLikelihood:
    X, numbers = torch.zeros(6, 1).double(), list(range(6))
    return PreferenceLikelihood(PreferenceData(X, [0] * 6, choices, ratings, numbers, rejections=rejections))


@pytest.mark.parametrize(
    ("choices", "ratings", "rejections"),
    [(CHOICES, RATINGS, REJECTIONS), (CHOICES, [], []), ([], RATINGS, []), ([], [], REJECTIONS)],
)
def test_gradient_and_factor_are_the_derivatives(
    choices: list[list[int]], ratings: list[tuple[int, float, float]], rejections: list[list[int]]
) -> None:
    likelihood = _likelihood(choices, ratings, rejections)

    def logarithm(f: Tensor) -> Tensor:
        return likelihood.log_likelihood(f, LEVEL, SCALE)

    f = torch.randn(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    S = likelihood.factor(f, SCALE)
    hessian = torch.autograd.functional.hessian(logarithm, f)
    torch.testing.assert_close(S @ S.mT, -hessian, rtol=0, atol=1e-12)
    gradient = torch.autograd.functional.jacobian(logarithm, f)
    torch.testing.assert_close(likelihood.gradient(f, LEVEL, SCALE), gradient, rtol=0, atol=1e-12)


def test_the_likelihood_is_that_of_softmax_and_normal() -> None:
    f = torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    choices = sum(torch.distributions.Categorical(logits=f[rows]).log_prob(torch.tensor(0)) for rows in CHOICES)
    ratings = sum(torch.distributions.Normal(LEVEL + SCALE * f[k], s).log_prob(torch.tensor(y)) for k, y, s in RATINGS)
    rejections = sum(torch.distributions.Categorical(logits=-f[rows]).log_prob(torch.tensor(0)) for rows in REJECTIONS)
    found = _likelihood(CHOICES, RATINGS, REJECTIONS).log_likelihood(f, LEVEL, SCALE)
    torch.testing.assert_close(found, torch.as_tensor(choices + ratings + rejections), rtol=0, atol=1e-12)


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match="choices, rejections and ratings: none; allowed: one or more"):
        PreferenceData(torch.zeros(2, 1), [0, 0], [], [], [0, 1])
    with pytest.raises(ValueError, match="items: 2, 1, 2; allowed: equal numbers"):
        PreferenceData(torch.zeros(2, 1), [0], [[0, 1]], [], [0, 1])
