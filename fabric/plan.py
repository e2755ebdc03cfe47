"""Who attends to which reference at which step, and how much: settings and feedback of a batch, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fabric.images import FeedbackImage
from fabric.params import FabricParams, image_weights, step_weights
from fabric.processor import Group, Hidden, Layer, Reference, TokenMask
from fabric.weighting import depth_weight

_ABSENT = 1e-6  # weights below are 0: they would cost a reference and change nothing


@dataclass(frozen=True)
class Side:
    """Feedback images of one sign.

    Attributes:
        images: R of them, none twice.
        weights: T x R attention weights, float64 on the CPU.
    """

    images: tuple[FeedbackImage, ...]
    weights: Tensor

    def active(self, step: int) -> list[int]:
        """Places of the images that count at a step."""
        return (self.weights[step] > _ABSENT).nonzero()[:, 0].tolist()


@dataclass(frozen=True)
class Row:
    """One sample of the U-Net's batch.

    Attributes:
        references: whose tokens it attends to.
        opposed: that it is pushed away from.
        middle: multiplier of the weights at the middle block.
        outer: multiplier in the outermost layers.
    """

    references: Side
    opposed: Side
    middle: float
    outer: float


def rows_of(
    params: FabricParams,
    liked: Sequence[FeedbackImage],
    disliked: Sequence[FeedbackImage],
    steps: int,
    round: int = 0,
) -> tuple[Row, Row, Row]:
    """The samples of one image: its unconditional and conditional one, and the one that does without the other.

    Disliked images join the unconditional sample, liked ones the conditional sample (Algorithm 1 of the paper). Where
    there is no unconditional pass the single sample attends to the liked and is pushed away from the disliked.

    Args:
        params: the settings.
        liked: images to come closer to; of two of the same content the newer counts.
        disliked: images to keep away from, likewise.
        steps: evaluations of the U-Net T.
        round: that is generated; an image of the round before has age 0.

    Raises:
        ValueError: an image is of this round or a later one.
    """
    sides = []
    for images, scale in ((liked, 1.0), (disliked, params.neg_scale)):
        distinct = {image.id: image for image in sorted(images, key=lambda image: image.round)}
        ages = [_age(image, round) for image in distinct.values()]
        of_images = image_weights(params, list(distinct), ages)
        sides.append(Side(tuple(distinct.values()), scale * step_weights(params, steps)[:, None] * of_images))
    likes, dislikes = sides
    nothing = Side((), torch.zeros(steps, 0, dtype=torch.float64))
    return tuple(  # type: ignore[return-value]
        Row(references, opposed, params.bottleneck, params.outer)
        for references, opposed in ((dislikes, nothing), (likes, nothing), (likes, dislikes))
    )


def _age(image: FeedbackImage, round: int) -> int:
    """Rounds since an image was judged; never counted from other images, whose absence must change nothing."""
    if image.round >= max(1, round):
        raise ValueError(
            f"round: an image judged in round {image.round} cannot steer round {round}; allowed: of earlier rounds"
        )
    return max(0, round - 1 - image.round)


class AttentionPlan:
    """What a batch attends to at every step.

    Args:
        rows: of the U-Net's batch.
        device: of the U-Net.
        mask: brings an image's mask to the model's latents; see `FeedbackImage.mask`.
    """

    def __init__(
        self, rows: Sequence[Row], device: torch.device, mask: Callable[[FeedbackImage], Tensor | None]
    ) -> None:
        self.rows = rows
        self.device = device
        self._mask = mask
        self._masks: dict[str, TokenMask | None] = {}
        self._shared: dict[int, list[Shared]] = {}
        # All that the steps need is on the device before the first one.
        self._weights = [
            tuple(side.weights.float().to(device) for side in (row.references, row.opposed)) for row in rows
        ]
        self._middle = torch.tensor([row.middle for row in rows], device=device)
        self._outer = torch.tensor([row.outer for row in rows], device=device)

    def images(self, step: int) -> dict[str, FeedbackImage]:
        """Images that some row needs at a step, by id."""
        return {
            side.images[k].id: side.images[k]
            for row in self.rows
            for side in (row.references, row.opposed)
            for k in side.active(step)
        }

    def with_outer(self, step: int) -> bool:
        """Whether a row that attends to something at a step does so in the outermost layers."""
        return any(row.outer > _ABSENT and row.references.active(step) + row.opposed.active(step) for row in self.rows)

    def shared(self, step: int) -> list[Shared]:
        """Rows that attend to the same references at a step, together; nothing where no row attends to any."""
        if step not in self._shared:
            together: dict[tuple[tuple[str, ...], ...], list[int]] = {}
            for place, row in enumerate(self.rows):
                key = tuple(
                    tuple(side.images[k].key for k in side.active(step)) for side in (row.references, row.opposed)
                )
                together.setdefault(key, []).append(place)
            found = [self._together(members, step) for members in together.values()]
            self._shared[step] = found if any(part.references or part.opposed for part in found) else []
        return self._shared[step]

    def groups(self, step: int, hidden: Mapping[str, Hidden], layer: Layer) -> tuple[Group, ...]:
        """Who attends to what in a layer.

        Args:
            step: index of the evaluation.
            hidden: hidden states of all images that `images` names.
            layer: of the U-Net.
        """
        return tuple(part.group(hidden, layer) for part in self.shared(step))

    def _together(self, members: list[int], step: int) -> Shared:
        sides = []
        for number in range(2):
            columns = [(self.rows[m].references, self.rows[m].opposed)[number].active(step) for m in members]
            side = (self.rows[members[0]].references, self.rows[members[0]].opposed)[number]
            weights = [self._weights[m][number][step, column] for m, column in zip(members, columns, strict=True)]
            sides.append((tuple(side.images[k] for k in columns[0]), torch.stack(weights)))
        masks = {image.key: self._token_mask(image) for images, _ in sides for image in images}
        factors = (self._middle[members], self._outer[members])
        sees_outer = any(self.rows[m].outer > _ABSENT for m in members)
        return Shared(members, sides[0], sides[1], masks, factors, sees_outer)

    def _token_mask(self, image: FeedbackImage) -> TokenMask | None:
        if image.key not in self._masks:
            mask = self._mask(image)
            self._masks[image.key] = None if mask is None else TokenMask(mask.to(self.device))
        return self._masks[image.key]


class Shared:
    """Rows that attend to the same references at a step.

    Args:
        rows: G places in the batch.
        references: the images, and their weights, G x R.
        opposed: likewise, of those that the rows are pushed away from.
        masks: of the images by key, where they have one.
        factors: G multipliers at the middle block, and G in the outermost layers.
        sees_outer: whether some row sees its references in the outermost layers.
    """

    def __init__(
        self,
        rows: list[int],
        references: tuple[tuple[FeedbackImage, ...], Tensor],
        opposed: tuple[tuple[FeedbackImage, ...], Tensor],
        masks: Mapping[str, TokenMask | None],
        factors: tuple[Tensor, Tensor],
        sees_outer: bool,
    ) -> None:
        self.rows = rows
        self.references = references[0]
        self.opposed = opposed[0]
        self.place: slice | list[int] = rows
        if rows == list(range(rows[0], rows[-1] + 1)):
            self.place = slice(rows[0], rows[-1] + 1)
        self._weights = (references[1], opposed[1])
        self._masks = masks
        self._middle, self._outer = factors
        self._sees_outer = sees_outer
        self._logs: dict[tuple[float, bool], tuple[Tensor, Tensor]] = {}

    def group(self, hidden: Mapping[str, Hidden], layer: Layer) -> Group:
        """As a layer sees it."""
        if layer.outermost and not self._sees_outer:
            return Group(self.place)
        logs = self._log_weights(layer)
        sides = (
            tuple(self._reference(image, hidden[image.id][layer.name], log[:, k]) for k, image in enumerate(images))
            for images, log in zip((self.references, self.opposed), logs, strict=True)
        )
        return Group(self.place, *sides)

    def _log_weights(self, layer: Layer) -> tuple[Tensor, Tensor]:
        """Logarithms of the weights in a layer; layers of one depth have the same."""
        key = (layer.depth, layer.outermost)
        if key not in self._logs:
            factor = depth_weight(self._middle, layer.depth)
            if layer.outermost:
                factor = factor * self._outer
            self._logs[key] = tuple((weights * factor[:, None]).log() for weights in self._weights)  # type: ignore[assignment]
        return self._logs[key]

    def _reference(self, image: FeedbackImage, hidden: Tensor, log_weight: Tensor) -> Reference:
        mask = self._masks[image.key]
        return Reference(hidden, log_weight, None if mask is None else mask.bias(len(hidden)))
