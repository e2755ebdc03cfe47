"""What a classifier, which nothing is optimised on, says of images of a world."""

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
from experiments.embedded.world.world import SIDE, World
from objectives.base import Context, Need, Objective

Kind = Literal["stated", "unstated"]


class AttributeAgreement(Objective):
    """Share of a target's attributes that an image has, both read by the classifier; 0 to 1.

    With several targets, attributes count which more than half of them share.

    Args:
        world: of the pictures.
        kind: attributes that prompts state, or those that only feedback can tell.
    """

    bounds = (0.0, 1.0)
    needs: frozenset[Need] = frozenset({"target"})

    def __init__(self, world: World, kind: Kind) -> None:
        self.name = f"classifier-{kind}"
        self._world = world.name
        self._columns = [world.column[name] for name in (world.short_prompt if kind == "stated" else world.unsaid)]

    @cached_property
    def _classifier(self) -> AttributeClassifier:
        return read_classifier(world=self._world)

    def prepare(self) -> None:
        """Reads the classifier."""
        _ = self._classifier

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        scores = []
        for image, context in zip(images, contexts, strict=True):
            read = self._classifier.read(_tensor([image, *context.targets]))[:, self._columns]
            has, targets = read[0], read[1:]
            usual = targets.mode(dim=0).values
            shared = (targets == usual).float().mean(dim=0) > 1 / 2
            scores.append(float((has == usual)[shared].float().mean()) if shared.any() else 1.0)
        return scores


class AttributeVariety(Objective):
    """How much the images of a group differ in what prompts leave open, as the classifier reads it; 0 to 1.

    For two images it is the share of those attributes in which they differ, for more the mean over all pairs.

    Args:
        world: of the pictures.
    """

    name = "classifier-variety"
    bounds = (0.0, 1.0)
    of_batch = True

    def __init__(self, world: World) -> None:
        self._world = world.name
        self._columns = [world.column[name] for name in world.unsaid]

    @cached_property
    def _classifier(self) -> AttributeClassifier:
        return read_classifier(world=self._world)

    def prepare(self) -> None:
        """Reads the classifier."""
        _ = self._classifier

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`. Every image has its group's value."""
        groups = [(context.prompt, context.group) for context in contexts]
        values = {}
        for group in dict.fromkeys(groups):
            members = [image for image, other in zip(images, groups, strict=True) if other == group]
            read = self._classifier.read(_tensor(members))[:, self._columns]
            differ = (read[:, None] != read[None]).double().mean(dim=2)
            values[group] = float(differ.sum() / (len(members) * (len(members) - 1))) if len(members) > 1 else 0.0
        return [values[group] for group in groups]


def _tensor(images: Sequence[Image]) -> torch.Tensor:
    """N x 3 x 64 x 64 in [-1, 1]."""
    return to_signed(torch.stack([pil_to_tensor(image.convert("RGB").resize((SIDE, SIDE))) for image in images]))
