"""The diffusers attention processor of a self-attention layer that can record its input and attend to references.

Notation:
    B: samples in the U-Net's batch, G: samples of a group, R: references, L: tokens of a layer, C: channels.
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

from fabric.attention import Source, attend_alone, merge, push_away

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


class Reference(NamedTuple):
    """A reference as one layer sees it.

    Attributes:
        hidden: its hidden states, L x C.
        log_weight: logarithms of the attention weights of G samples; minus infinity is absence.
        token_bias: added for single tokens, L; None for 0.
    """

    hidden: Tensor
    log_weight: Tensor
    token_bias: Tensor | None = None


class Group(NamedTuple):
    """Samples of a batch that attend to the same references, as one layer sees them.

    Attributes:
        rows: G places in the batch; a slice, which copies nothing, where they follow each other.
        references: whose keys and values they see beside their own.
        opposed: references that they are pushed away from, where there is no unconditional pass to see them.
    """

    rows: slice | list[int]
    references: tuple[Reference, ...] = ()
    opposed: tuple[Reference, ...] = ()


class FabricAttnProcessor:
    """Self-attention that also sees weighted references; without any it is ordinary self-attention.

    What it is to do is set before a call and what came of it is read afterwards. It knows neither its layer nor others,
    so that compiled layers share their code.

    Attributes:
        records: whether to keep the hidden states that it is given.
        groups: who attends to what; they share out the batch. Empty for ordinary attention.
        recorded: hidden states of the last call that recorded, B x L x C.
        received: for each of `groups` the share of the attention that each reference received, G x R.
    """

    def __init__(self) -> None:
        self.records = False
        self.groups: tuple[Group, ...] = ()
        self.recorded: Tensor | None = None
        self.received: tuple[Tensor, ...] = ()

    def clear(self) -> None:
        """Ordinary attention again."""
        self.records, self.groups, self.recorded, self.received = False, (), None, ()

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
        query, key, value = (
            project(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        if self.groups:
            out = torch.empty_like(query)
            received = []
            for group in self.groups:
                part, shares = _attend(attn, group, query[group.rows], key[group.rows], value[group.rows])
                out[group.rows] = part
                received.append(shares)
            self.received = tuple(received)
        else:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        out = out.transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))


def _attend(attn: Attention, group: Group, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Attention of a group's samples to themselves and to their references, G x H x L x d, and what those received."""
    if not (group.references or group.opposed):
        return F.scaled_dot_product_attention(query, key, value), query.new_empty(len(query), 0)
    own = attend_alone(query, Source(key, value))
    references, opposed = (
        [attend_alone(query, _source(attn, reference)) for reference in side]
        for side in (group.references, group.opposed)
    )
    out, shares = merge([own, *references])
    if opposed:
        out = push_away(out, own, opposed)
    return out, shares[1:].float().mean(dim=(2, 3)).T


def _source(attn: Attention, reference: Reference) -> Source:
    """A reference's keys and values, projected once whatever the batch."""
    hidden = reference.hidden.to(attn.to_k.weight.dtype)
    key, value = (project(hidden).unflatten(-1, (attn.heads, -1)).transpose(0, 1) for project in (attn.to_k, attn.to_v))
    return Source(key, value, reference.log_weight, reference.token_bias)
