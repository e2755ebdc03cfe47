"""What the optimiser's model sees of FABRIC's settings: settings that have the same effect look the same.

A model of the bare parameters has to find out by trials that without strength, outside the window or at weight 0
nothing else matters; that is a large part of the space, and a run can get lost in it. Here it is known from the first
trial on: of references of weights e_k, softmax attention gives each image the share e_k / (1 + sum of e), and what only
shapes the references' effect fades with it (law 1 of the design: weight zero is absence).

Notation:
    ... x d: points, k: feedback images, A: share of the attention that goes to references at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.run.space import SHARE, Space, picture_name
from fabric.weighting import attention_shares, thin, timing_weight, window_weight
from optimizer.encoding import Encoding

_FAINT = 0.1  # share of attention at which what shapes the references' effect counts half
_SHAPES = ("bottleneck", "outer", "recency", "crowding")
_ALWAYS = ("prompt_dropout", "guidance_scale")  # matter without references too


def fade(attention: Tensor) -> Tensor:
    """How much counts what only shapes the references' effect, 0 to 1, of the share of attention that they have."""
    return attention / (attention + _FAINT)


class FabricFeatureMap:
    """A feature map for `optimizer.encoding.Encoding`.

    Args:
        space: of a run.
        liked: ids of images given from the start.
        disliked: likewise.
        own: whether sessions add images of their own, of weight 1.
    """

    def __init__(self, space: Space, liked: Sequence[str], disliked: Sequence[str], own: bool) -> None:
        self.space = space
        self.signs = (tuple(liked), tuple(disliked))
        self.own = own

    def __call__(self, encoding: Encoding, points: Tensor) -> Tensor:
        """Features of points: ... x d to ... x k, each from 0 to 1."""
        start, end = self._window(encoding, points)
        width = (end - start).clamp(min=0)
        floor = self._value(encoding, points, "floor")
        effect = window_weight(self._value(encoding, points, "strength"), floor, width)
        scales = (torch.ones_like(effect), self._value(encoding, points, "neg_scale"))
        sides = [
            self._side(encoding, points, names, effect * scale, (start + end) / 2)
            for names, scale in zip(self.signs, scales, strict=True)
        ]
        shares = torch.cat([shares for shares, _ in sides], dim=-1)
        attention = shares.sum(-1, keepdim=True)
        shapes = torch.stack([width, (start + end) / 2, floor, *self._sought(encoding, points, _SHAPES)], dim=-1)
        always = [*self._sought(encoding, points, _ALWAYS), *self._others(encoding, points)]
        timed = [column for _, columns in sides for column in columns]
        return torch.cat([shares, shapes * fade(attention), *timed, *(column[..., None] for column in always)], dim=-1)

    def _others(self, encoding: Encoding, points: Tensor) -> list[Tensor]:
        """Columns of what is sought besides FABRIC's parameters."""
        names = [name for other in self.space.others for name in other.distributions]
        return [
            column
            for name in names
            if name in encoding.space
            for column in points[..., encoding.columns[name]].unbind(-1)
        ]

    def _side(
        self, encoding: Encoding, points: Tensor, names: Sequence[str], effect: Tensor, middle: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Of the images of one sign the shares of attention, ... x their number, and timings that are sought, ... x 1.

        A timing counts as it does in the middle of the window, which is its mean there; see `fabric.weighting`.
        """
        weights, timing = (
            [self._of_picture(encoding, points, knob, name) for name in names] for knob in ("weights", "timing")
        )
        if self.own or not weights:
            weights.append(torch.ones_like(effect))
            timing.append(torch.zeros_like(effect))
        thinned = thin(torch.stack(weights, dim=-1), self._value(encoding, points, "crowding"))
        timed = thinned * timing_weight(torch.stack(timing, dim=-1), middle[..., None])
        shares = attention_shares(effect[..., None] * timed)
        sought = {place: picture_name("timing", name) for place, name in enumerate(names)}
        return shares, [
            points[..., encoding.columns[name]] * fade(shares[..., place, None])
            for place, name in sought.items()
            if name in encoding.space
        ]

    def _of_picture(self, encoding: Encoding, points: Tensor, knob: str, image: str) -> Tensor:
        name = picture_name(knob, image)
        if name in encoding.space:
            return encoding.values(name, points)
        return torch.full_like(points[..., 0], self.space.base.of_picture(knob, image))

    def _window(self, encoding: Encoding, points: Tensor) -> tuple[Tensor, Tensor]:
        """Begin and end, as `Space.params` has them."""
        end = self._value(encoding, points, "end")
        if SHARE not in encoding.space:
            return torch.minimum(self._value(encoding, points, "start"), end), end
        low, high = self.space.sought["start"].low, self.space.sought["start"].high
        return torch.minimum((encoding.values(SHARE, points) * end).clamp(low, high), end), end

    def _value(self, encoding: Encoding, points: Tensor, field: str) -> Tensor:
        return encoding.values(field, points) if field in encoding.space else self._base(points, field)

    def _base(self, points: Tensor, field: str) -> Tensor:
        return torch.full_like(points[..., 0], getattr(self.space.base, field))

    @staticmethod
    def _sought(encoding: Encoding, points: Tensor, fields: Sequence[str]) -> list[Tensor]:
        """Columns of those that are sought."""
        return [points[..., encoding.columns[field].start] for field in fields if field in encoding.space]
