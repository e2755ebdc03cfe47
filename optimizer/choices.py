"""What people said of settings, and how probable it is given utility: choices of one in K, and ratings.

A pick is one choice among K options: its probability is the softmax of their utilities (Luce 1959). K - 1 independent
pairs, all that BoTorch's `PairwiseGP` can take, would count one click K - 1 times. A rejection is one choice of the
worst, the softmax of minus the utilities. A rating is a noisy observation: `y ~ N(level + scale * f, error^2)`, so that
all of them inform one posterior.

Notation:
    n: items that were shown, d: dimensions, C: choices and rejections, K: most options of one, R: ratings, M = C K + R.
    f: n utilities, W: n x n, minus the Hessian of the log likelihood, S: n x M with S S' = W.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PreferenceData:
    """Choices and ratings of items, each of which shows a setting.

    Attributes:
        X: n x d settings of the items.
        groups: of each item, which look it was part of; items of a look share what else changes from look to look.
        choices: of each choice, rows of X, the picked one first.
        ratings: of each rating, a row of X, the value and its standard error.
        numbers: n trial numbers.
        offsets: n utilities that are expected of the items before anything is said; 0 by default.
        rejections: of each choice of the worst, rows of X, the rejected one first.

    Raises:
        ValueError: the numbers of items differ, or nothing was said.
    """

    X: Tensor
    groups: Sequence[int]
    choices: Sequence[Sequence[int]]
    ratings: Sequence[tuple[int, float, float]]
    numbers: Sequence[int]
    offsets: Tensor | None = None
    rejections: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        if not len(self.X) == len(self.groups) == len(self.numbers):
            raise ValueError(f"items: {len(self.X)}, {len(self.groups)}, {len(self.numbers)}; allowed: equal numbers")
        if not self.choices and not self.rejections and not self.ratings:
            raise ValueError("choices, rejections and ratings: none; allowed: one or more")


class PreferenceLikelihood:
    """Probability of choices and ratings given utility.

    Args:
        data: what was said.
    """

    def __init__(self, data: PreferenceData) -> None:
        count, choices = len(data.X), [*data.choices, *data.rejections]
        most = max(map(len, choices), default=0)
        self.is_option = torch.tensor([[k < len(rows) for k in range(most)] for rows in choices], dtype=torch.bool)
        self.is_option = self.is_option.view(len(choices), most)
        self.options = torch.zeros(len(choices), most, count, dtype=torch.float64)  # one-hot, -1 of rejections
        for choice, rows in enumerate(choices):
            self.options[choice, range(len(rows)), list(rows)] = 1.0 if choice < len(data.choices) else -1.0
        rows, values, errors = zip(*data.ratings, strict=True) if data.ratings else ((), (), ())
        self.rated = torch.zeros(len(rows), count, dtype=torch.float64)  # one-hot
        self.rated[range(len(rows)), list(rows)] = 1.0
        self.values = torch.tensor(values, dtype=torch.float64)
        self.errors = torch.tensor(errors, dtype=torch.float64)

    def log_probabilities(self, f: Tensor) -> Tensor:
        """Of each option to be picked, C x K; minus infinity where a choice had fewer."""
        return torch.log_softmax((self.options @ f).masked_fill(~self.is_option, -math.inf), dim=1)

    def log_likelihood(self, f: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Of everything that was said.

        Args:
            f: n utilities.
            level: of a rating at utility 0.
            scale: by what a rating grows with utility.
        """
        z = (self.values - level - scale * (self.rated @ f)) / self.errors
        ratings = -0.5 * z**2 - self.errors.log() - 0.5 * math.log(2 * math.pi)
        return ratings.sum() + (self.log_probabilities(f)[:, 0].sum() if len(self.options) else 0.0)

    def gradient(self, f: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Of the log likelihood, n."""
        residuals = (self.values - level - scale * (self.rated @ f)) / self.errors**2
        gradient = scale * residuals @ self.rated
        if len(self.options):
            picked = torch.zeros_like(self.is_option, dtype=f.dtype)
            picked[:, 0] = 1.0
            gradient = gradient + torch.einsum("ckn,ck->n", self.options, picked - self.log_probabilities(f).exp())
        return gradient

    def factor(self, f: Tensor, scale: Tensor) -> Tensor:
        """S: for a choice diag(r) - p r', where p are its probabilities and r their roots; for a rating a column."""
        columns = (scale / self.errors[:, None] * self.rated).mT
        if not len(self.options):
            return columns
        logarithms = self.log_probabilities(f)
        p, r = logarithms.exp(), (0.5 * logarithms).exp()
        blocks = torch.diag_embed(r) - p[:, :, None] * r[:, None, :]
        return torch.cat([torch.einsum("ckn,ckj->ncj", self.options, blocks).flatten(1), columns], dim=1)
