"""How references share attention: what weights that are set come to, in one place for the step and for models of it.

Softmax attention over the image's own keys and those of references, whose exponentials are multiplied by weights w_k,
gives reference k the share w_k / (1 + sum of w) where all keys fit alike (von Rütte et al. 2023, arXiv 2307.10159,
section 3.2, whose weights are these).

Notation:
    ... x R: references of one sign, in any batch of settings.
"""

from __future__ import annotations

import torch
from torch import Tensor


def window_weight(strength: Tensor, floor: Tensor, covered: Tensor) -> Tensor:
    """Weight of references, as far as the window decides it.

    Args:
        strength: weight inside the window.
        floor: weight outside, as a fraction of `strength`.
        covered: share of a step, or of all steps, that is inside; 0 to 1.
    """
    return strength * (floor + (1 - floor) * covered)


def timing_weight(timing: Tensor, moment: Tensor) -> Tensor:
    """Multipliers of references that count early (timing -1: 1 to 0, linearly), late (1: 0 to 1) or always (0: 1).

    Args:
        timing: -1 to 1.
        moment: of the denoising, 0 its beginning, 1 its end; broadcasts with `timing`.
    """
    return 1 - timing.abs() * torch.where(timing < 0, moment, 1 - moment)


def depth_weight(middle: Tensor, depth: float) -> Tensor:
    """Multipliers of a layer: 1 at the outer blocks (depth 0), `middle` at the middle block (depth 1)."""
    return 1 + (middle - 1) * depth


def thin(weights: Tensor, crowding: Tensor | float) -> Tensor:
    """Weights of images of one sign, ... x R, divided among them as far as `crowding` says.

    Args:
        weights: at least 0; where they sum to 1 or less, nothing is divided.
        crowding: 0 leaves them as they are, 1 makes them sum to at most 1; ..., or one number.
    """
    total = weights.sum(dim=-1, keepdim=True).clamp(min=1.0)
    exponent = crowding[..., None] if isinstance(crowding, Tensor) else crowding
    return weights / total**exponent


def attention_shares(weights: Tensor) -> Tensor:
    """Share of the attention that goes to each reference, ... x R, of their weights; the image itself has the rest."""
    return weights / (1 + weights.sum(dim=-1, keepdim=True))
