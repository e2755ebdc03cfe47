"""Who attends to which reference at which step, and how much: settings and feedback of a batch, worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fabric.attention import Group, Hidden
from fabric.images import FeedbackImage
from fabric.params import FabricParams, image_weights, step_weights


@dataclass(frozen=True)
class Row:
    """One sample of the U-Net's batch.

    Attributes:
        images: R feedback images, none twice.
        masks: for each of them its mask fitted to the generated size, or None.
        weights: T x R attention weights.
        bottleneck: their multiplier at the middle block.
    """

    images: tuple[FeedbackImage, ...]
    masks: tuple[Tensor | None, ...]
    weights: Tensor
    bottleneck: float


def rows_of(
    params: FabricParams,
    liked: Sequence[FeedbackImage],
    disliked: Sequence[FeedbackImage],
    steps: int,
    size: tuple[int, int],
) -> tuple[Row, Row]:
    """The unconditional and the conditional sample of one image: disliked images join the first, liked the second.

    Args:
        params: the settings.
        liked: images to come closer to; of two of the same content the newer counts.
        disliked: images to keep away from, likewise.
        steps: evaluations of the U-Net T.
        size: height and width of the images in pixels, which masks are fitted to.
    """
    newest = max((image.round for image in (*liked, *disliked)), default=0)
    rows = []
    for images, scale in ((disliked, params.neg_scale), (liked, 1.0)):
        distinct = {image.id: image for image in sorted(images, key=lambda image: image.round)}
        ages = [newest - image.round for image in distinct.values()]
        of_images = image_weights(params, list(distinct), ages)
        weights = scale * step_weights(params, steps)[:, None] * of_images
        masks = tuple(image.fitted_mask(*size) for image in distinct.values())
        rows.append(Row(tuple(distinct.values()), masks, weights, params.bottleneck))
    return rows[0], rows[1]


def needed(rows: Sequence[Row], step: int) -> dict[str, FeedbackImage]:
    """Images that some row attends to at a step, by id."""
    return {row.images[k].id: row.images[k] for row in rows for k in _active(row, step)}


def groups(rows: Sequence[Row], step: int, hidden: Mapping[str, Hidden], device: torch.device) -> list[Group]:
    """Rows that attend to the same references at a step, together; those of weight zero are left out.

    Args:
        rows: of the U-Net's batch.
        step: index of the evaluation.
        hidden: hidden states of all images that `needed` names.
        device: of the U-Net.
    """
    together: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for index, row in enumerate(rows):
        key = tuple((row.images[k].id, id(row.images[k].mask)) for k in _active(row, step))
        together.setdefault(key, []).append(index)
    found = []
    for members in together.values():
        first = rows[members[0]]
        active = _active(first, step)
        weights = torch.stack([rows[m].weights[step, _active(rows[m], step)] for m in members])
        found.append(
            Group(
                members,
                tuple(hidden[first.images[k].id] for k in active),
                weights.float().to(device),
                torch.tensor([rows[m].bottleneck for m in members], device=device),
                tuple(None if (mask := first.masks[k]) is None else mask.to(device) for k in active),
            )
        )
    return found


def _active(row: Row, step: int) -> list[int]:
    return row.weights[step].nonzero()[:, 0].tolist()
