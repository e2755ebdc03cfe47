"""Who attends to which reference at which step, and how much: settings and feedback of a batch, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial

import torch
from torch import Tensor

from fabric.attention import SeenReferences
from fabric.images import FeedbackImage
from fabric.params import FabricParams, image_weights, step_weights, timing_weights
from fabric.processor import Group, Hidden, Layer, ShownReferences, TokenMask
from fabric.weighting import depth_weight

_ABSENT = 1e-6  # weights below are 0: they would cost a reference and change nothing


class Role(Enum):
    """What a sample of a call is for; the first three in the order of `rows_of`."""

    UNCONDITIONAL = 0
    CONDITIONAL = 1
    SINGLE = 2  # conditional, without an unconditional one
    APART = 3  # sees no references


@dataclass(frozen=True)
class Side:
    """Feedback images of one sign.

    Attributes:
        images: R of them, none twice.
        weights: T x R attention weights, float64 on the CPU.
    """

    images: tuple[FeedbackImage, ...]
    weights: Tensor

    @cached_property
    def active(self) -> list[list[int]]:
        """Places of the images that count, for each of T steps."""
        return [[k for k, counts in enumerate(step) if counts] for step in (self.weights > _ABSENT).tolist()]


@dataclass(frozen=True)
class Row:
    """One sample of the model's batch.

    Attributes:
        references: whose tokens it attends to.
        opposed: that it is pushed away from.
        middle: multiplier of the weights at a U-Net's middle block.
        outer: multiplier in the outermost layers.
    """

    references: Side
    opposed: Side
    middle: float
    outer: float

    @classmethod
    def apart(cls, steps: int) -> Row:
        """One that sees nothing in so many steps."""
        nothing = Side((), torch.zeros(steps, 0, dtype=torch.float64))
        return cls(nothing, nothing, 1.0, 1.0)

    @property
    def sides(self) -> tuple[Side, Side]:
        """References and opposed."""
        return self.references, self.opposed

    def sees(self, step: int) -> tuple[tuple[FeedbackImage, ...], tuple[FeedbackImage, ...]]:
        """Of both sides the images that count at a step."""
        of_references, of_opposed = (tuple(side.images[k] for k in side.active[step]) for side in self.sides)
        return of_references, of_opposed

    def weights(self, step: int, side: int) -> Tensor:
        """Weights of the images that count at a step, on the first or the second side."""
        return self.sides[side].weights[step, self.sides[side].active[step]]


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
        steps: evaluations of the model T.
        round: that is generated; an image of the round before has age 0.

    Raises:
        ValueError: an image is of this round or a later one.
    """
    sides = []
    for images, scale in ((liked, 1.0), (disliked, params.neg_scale)):
        distinct = {image.id: image for image in sorted(images, key=lambda image: image.round)}
        ages = [_age(image, round) for image in distinct.values()]
        of_images = image_weights(params, list(distinct), ages) * timing_weights(params, list(distinct), steps)
        masked = tuple(image.with_masking(params.masking) for image in distinct.values())
        sides.append(Side(masked, scale * step_weights(params, steps)[:, None] * of_images))
    likes, dislikes = sides
    nothing = Side((), torch.zeros(steps, 0, dtype=torch.float64))
    row = partial(Row, middle=params.bottleneck, outer=params.outer)
    return row(dislikes, nothing), row(likes, nothing), row(likes, dislikes)


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
        rows: of the model's batch.
        device: of the model.
        mask: brings an image's mask to the model's latents; see `FeedbackImage.mask`.
    """

    def __init__(
        self, rows: Sequence[Row], device: torch.device, mask: Callable[[FeedbackImage], Tensor | None]
    ) -> None:
        self.rows = rows
        self.device = device
        self._mask = mask
        self._masks: dict[str, TokenMask | None] = {}
        self._images: dict[int, dict[str, FeedbackImage]] = {}
        self._groups: dict[int, list[StepGroup]] = {}

    def images(self, step: int) -> dict[str, FeedbackImage]:
        """Images that some row sees at a step, by id."""
        if step not in self._images:
            self._images[step] = {image.id: image for row in self.rows for side in row.sees(step) for image in side}
        return self._images[step]

    def with_outer(self, step: int) -> bool:
        """Whether a row that sees something at a step does so in the outermost layers."""
        return any(group.sees_outer for group in self.groups(step))

    def groups(self, step: int) -> list[StepGroup]:
        """Rows that see something at a step: those of the same references together, and equal sets side by side."""
        if step not in self._groups:
            together: dict[tuple[tuple[str, ...], ...], list[int]] = {}
            for place, row in enumerate(self.rows):
                key = tuple(tuple(image.key for image in side) for side in row.sees(step))
                if any(key):
                    together.setdefault(key, []).append(place)
            equal: dict[tuple[int, ...], list[list[int]]] = {}
            for key, members in together.items():
                equal.setdefault((len(members), *(len(side) for side in key)), []).append(members)
            places = {name: place for place, name in enumerate(self.images(step))}
            self._groups[step] = [
                StepGroup(members, self.rows, step, places, self.device, self._token_mask) for members in equal.values()
            ]
        return self._groups[step]

    def shown(self, step: int, hidden: Mapping[str, Hidden], layer: Layer) -> ShownReferences:
        """What a layer is shown.

        Args:
            step: index of the evaluation.
            hidden: hidden states of all images that `images` names.
            layer: of the model.
        """
        seeing = [
            (number, group) for number, group in enumerate(self.groups(step)) if group.sees_outer or not layer.outermost
        ]
        if not seeing:
            return ShownReferences()
        states = tuple(hidden[name][layer.name] for name in self.images(step))
        return ShownReferences(states, tuple(group.in_layer(number, len(states[0]), layer) for number, group in seeing))

    def _token_mask(self, image: FeedbackImage) -> TokenMask | None:
        if image.key not in self._masks:
            mask = self._mask(image)
            self._masks[image.key] = None if mask is None else TokenMask(mask.to(self.device))
        return self._masks[image.key]


class StepGroup:
    """A group at one step: X sets of G rows; the rows of a set see the same references, all sets equally many.

    Args:
        members: X times G places in the batch.
        rows: of the batch.
        step: index of the evaluation.
        places: of all images' hidden states, by id.
        device: of the model.
        mask: of an image.

    Attributes:
        rows: places in the batch, set after set.
        names: for each of them the ids of its references.
        sees_outer: whether some row sees its references in the outermost layers.
    """

    def __init__(
        self,
        members: list[list[int]],
        rows: Sequence[Row],
        step: int,
        places: Mapping[str, int],
        device: torch.device,
        mask: Callable[[FeedbackImage], TokenMask | None],
    ) -> None:
        self.rows = [place for its in members for place in its]
        seen = [rows[its[0]].sees(step) for its in members]
        self.names = [[image.id for image in its[0]] for its, of_set in zip(seen, members, strict=True) for _ in of_set]
        self.sees_outer = any(rows[place].outer > _ABSENT for place in self.rows)
        self._device = device
        self._place = _places(self.rows, device)
        flat = [[image for its in seen for image in its[side]] for side in range(2)]
        self._places = [_places([places[image.id] for image in its], device) for its in flat]
        self._masks = [[mask(image) for image in its] for its in flat]
        self._weights = [
            torch.stack([torch.stack([rows[m].weights(step, side) for m in its], dim=1) for its in members])
            for side in range(2)
        ]
        self._middle, self._outer = (
            torch.tensor([[[getattr(rows[m], name) for m in its]] for its in members], dtype=torch.float64)
            for name in ("middle", "outer")
        )
        self._logs: dict[tuple[float, bool], list[Tensor]] = {}

    def in_layer(self, number: int, tokens: int, layer: Layer) -> Group:
        """As a layer of so many tokens sees it."""
        references, opposed = (
            SeenReferences(places, log_weight, self._token_bias(masks, tokens)) if masks else None
            for places, log_weight, masks in zip(self._places, self._log_weights(layer), self._masks, strict=True)
        )
        return Group(self._place, references, opposed, number)

    def _log_weights(self, layer: Layer) -> list[Tensor]:
        """Logarithms of the weights in a layer, X x R x G for each side; layers of one depth have the same."""
        key = (layer.depth, layer.outermost)
        if key not in self._logs:
            factor = depth_weight(self._middle, layer.depth) * (self._outer if layer.outermost else 1)
            self._logs[key] = [(weights * factor).log().float().to(self._device) for weights in self._weights]
        return self._logs[key]

    def _token_bias(self, masks: Sequence[TokenMask | None], tokens: int) -> Tensor | None:
        """X R x L, where any has a mask."""
        if all(mask is None for mask in masks):
            return None
        nothing = torch.zeros(tokens, device=self._device)
        return torch.stack([nothing if mask is None else mask.bias(tokens) for mask in masks])


def _places(places: list[int], device: torch.device) -> slice | Tensor:
    """Places to index with; a slice where they follow each other."""
    first = places[0] if places else 0
    following = slice(first, first + len(places))
    return following if places == list(range(following.start, following.stop)) else torch.tensor(places, device=device)
