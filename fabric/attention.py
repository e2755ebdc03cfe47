"""Self-attention that also sees reference images: the FABRIC step (von Rütte et al. 2023, arXiv 2307.10159, Alg. 1).

Notation:
    B: samples in the U-Net's batch; with classifier-free guidance the unconditional ones, then the conditional ones.
    G: samples of a group, R: references that a group attends to.
    L: tokens of a layer (its height times its width), C: channels.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from fabric.params import depth_weight

Hidden = Mapping[str, Tensor]  # layer name to hidden states in front of its self-attention, L x C


@dataclass(frozen=True)
class Group:
    """Samples of a batch that attend to the same references.

    Attributes:
        rows: G indices of samples.
        references: hidden states of R references; none where the samples only see themselves.
        weights: G x R attention weights, at least 0; 0 is absence.
        bottleneck: G multipliers of the weights at the middle block, linear to 1 at the outer blocks.
        masks: for each reference a picture (H x W, 0 to 1) that multiplies its weight token by token, or None.
    """

    rows: list[int]
    references: tuple[Hidden, ...]
    weights: Tensor
    bottleneck: Tensor
    masks: tuple[Tensor | None, ...]

    @cached_property
    def index(self) -> slice | list[int]:
        """The rows; a slice, which copies nothing, where they follow each other."""
        first, last = self.rows[0], self.rows[-1]
        return slice(first, last + 1) if self.rows == list(range(first, last + 1)) else self.rows

    @cached_property
    def _biases(self) -> dict[tuple[float, tuple[int, int]], Tensor]:
        return {}

    def bias(self, depth: float, grid: tuple[int, int]) -> Tensor:
        """What is added to the logits of a layer, G x 1 x 1 x (L + R L): 0 for own tokens, then `log_weights`."""
        if (depth, grid) not in self._biases:  # a block's layers share it
            own = math.prod(grid)
            self._biases[depth, grid] = F.pad(self.log_weights(depth, grid), (own, 0))[:, None, None]
        return self._biases[depth, grid]

    def log_weights(self, depth: float, grid: tuple[int, int]) -> Tensor:
        """Logarithms of the weights of all references' tokens in a layer, G x (R L).

        Adding them to the logits is the same as multiplying the attention probabilities by the weights and
        renormalising, but safe where a weight is 0.

        Args:
            depth: 0 at the outer blocks to 1 at the middle block.
            grid: height and width of the layer.
        """
        weights = self.weights * depth_weight(self.bottleneck, depth)[:, None]
        tokens = weights.repeat_interleave(math.prod(grid), dim=1)
        if any(mask is not None for mask in self.masks):
            tokens = tokens * torch.cat([_token_mask(mask, grid) for mask in self.masks]).to(tokens)
        return tokens.log()


def _token_mask(mask: Tensor | None, grid: tuple[int, int]) -> Tensor:
    """A mask as one value for each token of a layer; a token has the mean of its area."""
    if mask is None:
        return torch.ones(math.prod(grid))
    return F.adaptive_avg_pool2d(mask[None], grid).flatten()


class ReferenceMemory:
    """What the self-attention layers of one U-Net share: whether to record or to attend, and to what.

    Attributes:
        recorded: hidden states of the last recorded pass, layer name to B x L x C.
        recording: whether a forward pass fills `recorded`.
        groups: who attends to what; empty for ordinary attention.
        latent_size: height and width of the latents.
    """

    def __init__(self) -> None:
        self.recorded: dict[str, Tensor] = {}
        self.recording = False
        self.groups: list[Group] = []
        self.latent_size = (0, 0)

    @contextlib.contextmanager
    def record(self) -> Iterator[dict[str, Tensor]]:
        """Within, a forward pass stores its hidden states in what this yields."""
        self.recorded, self.recording = {}, True
        try:
            yield self.recorded
        finally:
            self.recorded, self.recording = {}, False

    @contextlib.contextmanager
    def attend(self, groups: list[Group], latent_size: tuple[int, int]) -> Iterator[None]:
        """Within, forward passes attend to the references of the groups, which share out all rows of the batch."""
        self.groups = groups if any(group.references for group in groups) else []
        self.latent_size = latent_size
        try:
            yield
        finally:
            self.groups = []

    def grid(self, tokens: int) -> tuple[int, int]:
        """Height and width of a layer with so many tokens; every down-sampling halves a side, rounding up."""
        height, width = self.latent_size
        while height * width > tokens:
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        if height * width != tokens:
            raise ValueError(f"a layer of {tokens} tokens does not fit latents of {self.latent_size}")
        return height, width


class ReferenceAttnProcessor:
    """A diffusers attention processor for one self-attention layer.

    Keys and values are those of the layer's own tokens and, weighted, of the references.

    Args:
        name: of the layer, unique in the U-Net.
        depth: 0 at the outer blocks to 1 at the middle block.
        memory: shared with the other layers.
    """

    def __init__(self, name: str, depth: float, memory: ReferenceMemory) -> None:
        self.name = name
        self.depth = depth
        self.memory = memory

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Attends; B x L x C to B x L x C."""
        if self.memory.recording:
            self.memory.recorded[self.name] = hidden_states.detach()
        query, key, value = (
            layer(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        if self.memory.groups:
            out = torch.empty_like(query)
            for group in self.memory.groups:
                out[group.index] = self._with_references(attn, group, query, key, value)
        else:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        out = out.transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))

    def _with_references(self, attn: Attention, group: Group, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of a group's samples to themselves and to their references, G x heads x L x head width."""
        query, key, value = query[group.index], key[group.index], value[group.index]
        if not group.references:
            return F.scaled_dot_product_attention(query, key, value)
        # Projected once for each reference, whatever the batch.
        reference = torch.stack([hidden[self.name] for hidden in group.references]).to(key)
        extra_key, extra_value = (
            layer(reference).flatten(0, 1).unflatten(-1, (attn.heads, -1)).transpose(0, 1).expand(len(key), -1, -1, -1)
            for layer in (attn.to_k, attn.to_v)
        )
        return F.scaled_dot_product_attention(
            query,
            torch.cat([key, extra_key], dim=2),
            torch.cat([value, extra_value], dim=2),
            attn_mask=group.bias(self.depth, self.memory.grid(key.shape[2])).to(key),
        )


def depth_of(name: str, blocks: int) -> float:
    """How deep a layer is: 0 in the outermost of `blocks` down or up blocks, 1 in the middle block."""
    part, index, *_ = name.split(".")
    if part == "mid_block":
        return 1.0
    position = int(index) if part == "down_blocks" else blocks - 1 - int(index)
    return position / blocks


def install(unet: UNet2DConditionModel) -> ReferenceMemory:
    """Puts a `ReferenceAttnProcessor` into every self-attention layer of a U-Net.

    Args:
        unet: changed in place, through diffusers' own `set_attn_processor`.

    Returns:
        The memory that the processors share.
    """
    memory, blocks = ReferenceMemory(), len(unet.config.block_out_channels)
    unet.set_attn_processor(
        {
            name: ReferenceAttnProcessor(name, depth_of(name, blocks), memory) if ".attn1." in name else processor
            for name, processor in unet.attn_processors.items()
        }
    )
    return memory
