"""The diffusers attention processor of a self-attention layer that can record its input and attend to references.

Notation:
    B: samples in the U-Net's batch, L: tokens of a layer, C: channels, H: heads, d: width of a head.
    G: samples that attend to the same R references; X: such sets of samples, of equal G and R.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor

from fabric.attention import Partial, ReferenceTokens, attend_own, attend_references, merge, push_away

Hidden = Mapping[str, Tensor]  # layer name to hidden states in front of its self-attention, L x C


@dataclass(frozen=True)
class Layer:
    """A self-attention layer of a U-Net.

    Attributes:
        name: unique in the U-Net.
        depth: 0 at the outer blocks to 1 at the middle block.
        outermost: whether it is of the finest grid that has self-attention.
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


class SeenReferences(NamedTuple):
    """References that sets of samples see: X sets of G samples, R references each.

    Attributes:
        places: X R places among the hidden states that the layer is shown; a slice where they follow each other.
        log_weight: logarithms of the attention weights, X x R x G; minus infinity is absence.
        token_bias: added for single tokens, X R x L; None for 0.
    """

    places: slice | Tensor
    log_weight: Tensor
    token_bias: Tensor | None = None


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
        hidden: hidden states of references, L x C each.
        groups: who attends to which; samples in none attend to themselves.
    """

    hidden: tuple[Tensor, ...] = ()
    groups: tuple[Group, ...] = ()


class RecordingDone(Exception):  # noqa: N818, it is no error
    """Ends a call of the U-Net as soon as all that was wanted of it is recorded."""


class FabricAttnProcessor:
    """Self-attention that also sees weighted references; without any it is ordinary self-attention.

    What it is to do is set before a call and what came of it is read afterwards. It knows neither its layer nor others,
    so that compiled layers share their code.

    Attributes:
        records: whether to keep the hidden states that it is given.
        ends: whether to raise `RecordingDone` then, since it is the last layer that matters.
        shown: references, and who attends to them.
        recorded: hidden states of the last call that recorded, B x L x C.
        received: by number of a group the share of the attention that each reference received, X G x R.
    """

    def __init__(self) -> None:
        self.records = False
        self.ends = False
        self.shown = ShownReferences()
        self.recorded: Tensor | None = None
        self.received: dict[int, Tensor] = {}

    def clear(self) -> None:
        """Ordinary attention again."""
        self.records, self.ends, self.shown, self.recorded, self.received = False, False, ShownReferences(), None, {}

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Attends; B x L x C to B x L x C."""
        if self.records:
            self.recorded = hidden_states.detach()
            if self.ends:
                raise RecordingDone
        query = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1))
        key, value = _key_and_value(attn, hidden_states)
        if self.shown.groups:
            out = self._attend(attn, query, attend_own(query, key, value), hidden_states.dtype)
        else:
            q, k, v = (x.transpose(1, 2) for x in (query, key, value))
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask).transpose(1, 2)
        return attn.to_out[1](attn.to_out[0](out.flatten(2)))

    def _attend(self, attn: Attention, query: Tensor, own: Partial, dtype: torch.dtype) -> Tensor:
        """Attention of all samples, each to what it sees; B x L x H x d.

        Hidden states of references come in the precision of the layer's own: that of its weights may be another, which
        diffusers casts for each call (`enable_layerwise_casting`).
        """
        hidden, groups = self.shown
        # Projected once, however many samples see them.
        key, value = _key_and_value(attn, torch.stack(hidden).to(dtype))
        out = own.out.clone()
        received = {}
        for rows, references, opposed, number in groups:
            its_query, its_own = query[rows], own.take(rows)
            attended = its_own.out
            if references is not None:
                attended, shares = merge(its_own, attend_references(its_query, _tokens(references, key, value)))
                received[number] = shares.float().mean(dim=(-2, -1)).transpose(1, 2).flatten(0, 1)
            if opposed is not None:
                away = attend_references(its_query, _tokens(opposed, key, value))
                attended = push_away(attended, its_own, away)
            out[rows] = attended
        self.received = received
        return out


def _key_and_value(attn: Attention, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """N x L x H x d of N x L x C."""
    key, value = attn.to_k(hidden), attn.to_v(hidden)
    return key.unflatten(-1, (attn.heads, -1)), value.unflatten(-1, (attn.heads, -1))


def _tokens(seen: SeenReferences, key: Tensor, value: Tensor) -> ReferenceTokens:
    """Keys and values of what sets of samples see, out of those of all references."""
    return ReferenceTokens(key[seen.places], value[seen.places], seen.log_weight, seen.token_bias)
