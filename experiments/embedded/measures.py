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
from objectives.base import Context, Need, Objective, score_groups

Kind = Literal["stated", "unstated"]


class _ReadAttributes(Objective):
    """A measure of what the classifier reads off images.

    Args:
        world: of the pictures.
        names: of the attributes that count.
    """

    bounds = (0.0, 1.0)

    def __init__(self, world: World, names: Sequence[str]) -> None:
        self._world = world.name
        self._columns = [world.column[name] for name in names]

    @cached_property
    def _classifier(self) -> AttributeClassifier:
        return read_classifier(world=self._world)

    def prepare(self) -> None:
        """Reads the classifier."""
        _ = self._classifier

    def _read(self, images: Sequence[Image]) -> torch.Tensor:
        """Values of the attributes that count, N x their number."""
        return self._classifier.read(_tensor(images))[:, self._columns]


class AttributeAgreement(_ReadAttributes):
    """Share of a target's attributes that an image has, both read by the classifier; 0 to 1.

    With several targets, attributes count which more than half of them share.

    Args:
        world: of the pictures.
        kind: attributes that prompts state, or those that only feedback can tell.
    """

    needs: frozenset[Need] = frozenset({"target"})

    def __init__(self, world: World, kind: Kind) -> None:
        super().__init__(world, world.short_prompt if kind == "stated" else world.unsaid)
        self.name = f"classifier-{kind}"

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        scores = []
        for image, context in zip(images, contexts, strict=True):
            read = self._read([image, *context.targets])
            has, targets = read[0], read[1:]
            usual = targets.mode(dim=0).values
            shared = (targets == usual).float().mean(dim=0) > 1 / 2
            scores.append(float((has == usual)[shared].float().mean()) if shared.any() else 1.0)
        return scores


class AttributeVariety(_ReadAttributes):
    """How much the images of a group differ in what prompts leave open, as the classifier reads it; 0 to 1.

    For two images it is the share of those attributes in which they differ, for more the mean over all pairs.

    Args:
        world: of the pictures.
    """

    name = "classifier-variety"
    of_batch = True

    def __init__(self, world: World) -> None:
        super().__init__(world, world.unsaid)

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`. Every image has its group's value."""
        return score_groups(images, contexts, self._of_group)

    def _of_group(self, members: Sequence[Image]) -> float:
        if len(members) < 2:
            return 0.0
        read = self._read(members)
        differ = (read[:, None] != read[None]).double().mean(dim=2)
        return float(differ.sum() / (len(members) * (len(members) - 1)))


def _tensor(images: Sequence[Image]) -> torch.Tensor:
    """N x 3 x 64 x 64 in [-1, 1]."""
    return to_signed(torch.stack([pil_to_tensor(image.convert("RGB").resize((SIDE, SIDE))) for image in images]))
