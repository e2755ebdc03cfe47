"""A linear head that names attributes from a judge's features. It helps training along and is then thrown away."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reader(nn.Linear):
    """One softmax for each attribute.

    Args:
        width: of the features.
        counts: how many values each attribute has.
    """

    def __init__(self, width: int, counts: Sequence[int]) -> None:
        super().__init__(width, sum(counts))
        self.counts = list(counts)

    def loss(self, features: Tensor, attributes: Tensor, known: Tensor | None = None) -> Tensor:
        """Mean cross-entropy over the attributes.

        Args:
            features: B x width.
            attributes: B x A indices.
            known: B x A bool, which of them the features can tell; all by default.

        Returns:
            Scalar loss.
        """
        parts = self(features).float().split(self.counts, dim=1)
        losses = torch.stack(
            [F.cross_entropy(part, attributes[:, k], reduction="none") for k, part in enumerate(parts)], dim=1
        )
        return losses.mean() if known is None else (losses * known).sum() / known.sum().clamp(min=1)
