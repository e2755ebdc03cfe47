"""A linear head that names attributes from a judge's features. It helps training along and is then thrown away."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.embedded.world.scenes import ATTRIBUTES

COUNTS = [len(values) for values in ATTRIBUTES.values()]


class Reader(nn.Linear):
    """One softmax for each attribute.

    Args:
        width: of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, sum(COUNTS))

    def loss(self, features: Tensor, attributes: Tensor, known: Tensor | None = None) -> Tensor:
        """Mean cross-entropy over the attributes.

        Args:
            features: B x width.
            attributes: B x A indices.
            known: B x A bool, which of them the features can tell; all by default.

        Returns:
            Scalar loss.
        """
        parts = self(features).float().split(COUNTS, dim=1)
        losses = torch.stack(
            [F.cross_entropy(part, attributes[:, k], reduction="none") for k, part in enumerate(parts)], dim=1
        )
        return losses.mean() if known is None else (losses * known).sum() / known.sum().clamp(min=1)
