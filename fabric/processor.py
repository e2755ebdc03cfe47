"""The diffusers attention processor of a self-attention layer that can record references and attend to them.

Notation:
    B: samples in the model's batch, L: tokens of a layer, C: channels, H: heads, d: width of a head.
    G: samples that attend to the same R references; X: such sets of samples, of equal G and R.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fabric.attention import SeenReferences, merge, push_away
from fabric.projector import LayerCall, Projected, Projector

Hidden = Mapping[str, Tensor]  # layer name to what it keeps of a reference: hidden states in front of it, L x C


@dataclass(frozen=True)
class Layer:
    """A layer in which images see themselves, and so references.

    Attributes:
        name: of its processor in the model.
        depth: of a U-Net 0 at the outer blocks to 1 at the middle block; of others 0.
        outermost: whether it counts as far as `FabricParams.outer` says: of a U-Net it is of the finest grid.
    """

    name: str
    depth: float
    outermost: bool


class TokenMask:
    """A mask of a picture as values for the tokens of each layer.

    Args:
        mask: h x w, from 0 to 1, on the model's device.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self._biases: dict[int, Tensor] = {}

    def bias(self, tokens: int) -> Tensor:
        """Logarithms for a layer of so many tokens, each with the mean of its area."""
        if tokens not in self._biases:
            pooled = F.adaptive_avg_pool2d(self.mask[None], _grid(self.mask.shape, tokens)).flatten()
            self._biases[tokens] = pooled.log().clamp(min=-1e4)  # a reference masked wholly stays finite
        return self._biases[tokens]


def _grid(size: tuple[int, ...], tokens: int) -> tuple[int, int]:
    """Height and width of a layer; every down-sampling halves a side, rounding up."""
    height, width = size
    while height * width > tokens:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
    if height * width != tokens:
        raise ValueError(f"mask: a layer of {tokens} tokens does not fit latents of {tuple(size)}")
    return height, width


class Group(NamedTuple):
    """Samples of a batch that see equally many references, as one layer sees them.

    Attributes:
        rows: X G places in the batch, set after set; a slice, which copies nothing, where they follow each other.
        references: whose keys and values they see beside their own.
        opposed: that they are pushed away from, where there is no unconditional pass to see them.
        number: of the group, the same in all layers.
    """

    rows: slice | Tensor
    references: SeenReferences | None = None
    opposed: SeenReferences | None = None
    number: int = 0


class ShownReferences(NamedTuple):
    """What a layer is shown.

    Attributes:
        hidden: what the layer keeps of each reference; see `Projector.keep`.
        groups: who attends to which; samples in none attend to themselves.
    """

    hidden: tuple[Tensor, ...] = ()
    groups: tuple[Group, ...] = ()


class RecordingDone(Exception):  # noqa: N818, it is no error
    """Ends a call of the model as soon as all that was wanted of it is recorded."""


class FabricAttnProcessor:
    """Self-attention that also sees weighted references; without any it is ordinary self-attention.

    What it is to do is set before a call and what came of it is read afterwards. It knows neither its layer nor others,
    so that compiled layers share their code.

    Args:
        projector: of the family; that of U-Nets by default, since diffusers makes processors without arguments.

    Attributes:
        own: the layer's processor that this one stands for.
        records: whether to keep what the projector keeps of a reference.
        ends: whether to raise `RecordingDone` then, since it is the last layer that matters.
        shown: references, and who attends to them.
        image_tokens: see `LayerCall`.
        positions: of references; see `Host.positions`.
        recorded: what the last call that recorded kept, B x ....
        received: by number of a group the share of the attention that each reference received, X G x R.
    """

    def __init__(self, projector: Projector | None = None) -> None:
        self.projector = projector or Projector()
        self.own: Any = None
        self.records = False
        self.ends = False
        self.shown = ShownReferences()
        self.image_tokens: int | None = None
        self.positions: Any = None
        self.recorded: Tensor | None = None
        self.received: dict[int, Tensor] = {}

    def clear(self) -> None:
        """Ordinary attention again."""
        self.records, self.ends, self.shown, self.recorded, self.received = False, False, ShownReferences(), None, {}

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
        encoder_hidden_states_mask: Tensor | None = None,
    ) -> Any:
        """Attends; what the layer's own processor gives, with references seen."""
        told = attention_mask, image_rotary_emb, encoder_hidden_states_mask
        call = LayerCall(hidden_states, encoder_hidden_states, *told, self.image_tokens)
        if self.records:
            self.recorded = self.projector.keep(attn, call).detach()
            if self.ends:
                raise RecordingDone
        if not self.shown.groups:
            return self.projector.plain(attn, call, self.own)
        projected = self.projector.project(attn, call)
        return self.projector.finish(attn, self._attend(attn, projected, hidden_states), call, projected.rest)

    def _attend(self, attn: Any, projected: Projected, like: Tensor) -> Tensor:
        """Attention of all samples, each to what it sees; B x L x H x d."""
        hidden, groups = self.shown
        read = self.projector.read(attn, torch.stack(hidden), self.positions, like)
        own, image = self.projector.attend_own(projected), projected.image
        out = own.out.clone()
        received = {}
        for rows, references, opposed, number in groups:
            query, its_own = projected.query[rows][:, image], own.take(rows, image)
            attended = its_own.out
            if references is not None:
                attended, shares = merge(its_own, self.projector.attend(query, read, references))
                received[number] = shares.float().mean(dim=(-2, -1)).transpose(1, 2).flatten(0, 1)
            if opposed is not None:
                attended = push_away(attended, its_own, self.projector.attend(query, read, opposed))
            out[rows, image] = attended
        self.received = received
        return out
