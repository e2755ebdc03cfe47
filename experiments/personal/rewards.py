"""The reward of RPO (Miao et al. 2024, arXiv 2407.12164, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from objectives.base import Context, Objective
from objectives.combinators import HarmonicMean


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
        """The harmonic mean of both; see `HarmonicMean`.

        Args:
            pictures: N of them.
            prompts: one for each.
            references: liked pictures.
            balance: weight of the likeness to the references, 0 to 1.
        """
        contexts = [Context(prompt, references) for prompt in prompts]
        return torch.tensor(HarmonicMean(self.image, self.text, balance)(pictures, contexts))
