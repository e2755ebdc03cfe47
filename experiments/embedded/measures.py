"""What the classifier, which nothing is optimised on, says of images of the embedded model's world."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import torch
from PIL.Image import Image
from torchvision.transforms.functional import pil_to_tensor

from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.shipped import read_classifier
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from objectives.base import Context, Need, Objective

_SIDE = 64  # pixels, of the world's pictures
Kind = Literal["stated", "unstated"]
_ATTRIBUTES: dict[Kind, tuple[str, ...]] = {"stated": SCENES.short_prompt, "unstated": SCENES.unsaid}


class AttributeAgreement(Objective):
    """Share of a target's attributes that an image has, both read by the classifier; 0 to 1.

    With several targets, attributes count in which all of them are alike.

    Args:
        kind: attributes that prompts state (shape, colour, background), or those that only feedback can tell.
    """

    bounds = (0.0, 1.0)
    needs: frozenset[Need] = frozenset({"target"})

    def __init__(self, kind: Kind) -> None:
        self.name = f"classifier-{kind}"
        self._columns = [SCENES.column[name] for name in _ATTRIBUTES[kind]]

    @cached_property
    def _classifier(self) -> AttributeClassifier:
        return read_classifier()

    def prepare(self) -> None:
        """Reads the classifier."""
        _ = self._classifier

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        scores = []
        for image, context in zip(images, contexts, strict=True):
            read = self._classifier.read(_tensor([image, *context.targets]))[:, self._columns]
            has, targets = read[0], read[1:]
            alike = (targets == targets[0]).all(dim=0)
            scores.append(float((has == targets[0])[alike].float().mean()) if alike.any() else 1.0)
        return scores


def _tensor(images: Sequence[Image]) -> torch.Tensor:
    """N x 3 x 64 x 64 in [-1, 1]."""
    return to_signed(torch.stack([pil_to_tensor(image.convert("RGB").resize((_SIDE, _SIDE))) for image in images]))
