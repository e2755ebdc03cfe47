"""Losses of fine-tuning to reference pictures (Miao et al. 2024, RPO, arXiv 2407.12164; Wallace et al. 2023, DPO).

Notation:
    B: pairs of a reference and a generated image. The error of an image is the mean squared error of what the U-Net
    predicts for it; its gain is by how much that is below the frozen U-Net's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def preference_loss(reference_gain: Tensor, generated_gain: Tensor, preferred: Tensor, beta: float) -> Tensor:
    """The Bradley-Terry loss of RPO, equation 5: -[y log s(b D) + (1 - y) log s(-b D)], s the logistic function.

    D is the gain of the reference minus that of the generated image. Where nothing was learnt yet it is log 2.

    Args:
        reference_gain: B gains.
        generated_gain: likewise.
        preferred: y, B values: 1 where the reference is preferred, 0 where the generated image is.
        beta: b, how much a difference counts.

    Returns:
        Mean over the pairs.
    """
    return F.binary_cross_entropy_with_logits(beta * (reference_gain - generated_gain), preferred)


def draw_preferred(reference: Tensor, generated: Tensor, generator: torch.Generator) -> Tensor:
    """Which of each pair is preferred: the reference with probability s(r_reference - r_generated), RPO's section 3.

    Args:
        reference: B rewards of references.
        generated: B rewards of generated images.
        generator: the source of randomness.

    Returns:
        B values of 0 and 1.
    """
    return torch.bernoulli(torch.sigmoid(reference - generated), generator=generator)
