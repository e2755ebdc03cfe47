"""The reward of RPO (Miao et al. 2024, arXiv 2407.12164, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from objectives.base import Context, Objective


@dataclass(frozen=True)
class Scorers:
    """What rewards are made of.

    Attributes:
        image: likeness to the references, which are a context's targets.
        text: likeness to the prompt.
    """

    image: Objective
    text: Objective

    def rewards(
        self, pictures: Sequence[Image], prompts: Sequence[str], references: tuple[Image, ...], balance: float
    ) -> Tensor:
        """RPO's reward: the harmonic mean of both, each brought to 0 to 1 by (cosine + 1) / 2 (equation 2 there).

        Args:
            pictures: N of them.
            prompts: one for each.
            references: liked pictures.
            balance: weight of the likeness to the references, 0 to 1.
        """
        contexts = [Context(prompt, references) for prompt in prompts]
        image, text = (torch.tensor(part(pictures, contexts)).add(1).div(2) for part in (self.image, self.text))
        return 1 / (balance / image.clamp(min=1e-6) + (1 - balance) / text.clamp(min=1e-6))
