"""Self-attention that also sees reference images: the FABRIC step (von Rütte et al. 2023, arXiv 2307.10159, Alg. 1).

Notation:
    B: samples in the U-Net's batch; with classifier-free guidance the unconditional ones, then the conditional ones.
    R: references.
    L: tokens of a layer (its height times its width), C: channels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor


class ReferenceMemory:
    """What the self-attention layers of one U-Net share: whether to record or to attend, and the hidden states.

    Attributes:
        hidden: layer name to the hidden states in front of its self-attention, R x L x C.
        recording: whether the next forward pass fills `hidden`.
        log_weights: B x R logarithms of attention weights.
        used: indices of the references that some sample attends to; none when there is nothing to attend to.
    """

    def __init__(self) -> None:
        self.hidden: dict[str, Tensor] = {}
        self.recording = False
        self.log_weights = torch.empty(0, 0)
        self.used: list[int] = []

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Within, a forward pass stores its hidden states as references."""
        self.hidden, self.recording = {}, True
        try:
            yield
        finally:
            self.recording = False

    @contextlib.contextmanager
    def attend(self, weights: Tensor) -> Iterator[None]:
        """Within, forward passes attend to the references.

        Args:
            weights: B x R attention weights, at least 0; 0 is absence, and costs nothing where all of B have it.
        """
        self.log_weights = weights.log()
        self.used = (weights > 0).any(dim=0).nonzero()[:, 0].tolist()
        try:
            yield
        finally:
            self.used = []


class ReferenceAttnProcessor:
    """A diffusers attention processor for one self-attention layer.

    Keys and values are those of the layer's own tokens and, with `log w` added to their logits, of the references:
    the same as multiplying the attention probabilities by w and renormalising, but safe at w = 0.

    Args:
        name: of the layer, unique in the U-Net.
        memory: shared with the other layers.
    """

    def __init__(self, name: str, memory: ReferenceMemory) -> None:
        self.name = name
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
            self.memory.hidden[self.name] = hidden_states.detach()
        key, value, bias = attn.to_k(hidden_states), attn.to_v(hidden_states), attention_mask
        if self.memory.used:
            key, value, bias = self._with_references(attn, key, value)
        query, key, value = (
            x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (attn.to_q(hidden_states), key, value)
        )
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out = out.transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))

    def _with_references(self, attn: Attention, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Appends the used references' keys and values; also the bias, B x 1 x 1 x (L + used L)."""
        log_weights, reference = self.memory.log_weights, self.memory.hidden[self.name]
        batch, own = len(key), key.shape[1]
        if log_weights.shape != (batch, len(reference)):
            expected = (batch, len(reference))
            raise ValueError(f"weights have shape {tuple(log_weights.shape)}, expected {expected}")
        log_weights, reference = log_weights[:, self.memory.used], reference[self.memory.used]
        # Projected once for each reference, whatever the batch.
        extra_key = attn.to_k(reference).flatten(0, 1).expand(batch, -1, -1)
        extra_value = attn.to_v(reference).flatten(0, 1).expand(batch, -1, -1)
        bias = log_weights.repeat_interleave(reference.shape[1], dim=1).to(key.dtype)
        bias = F.pad(bias, (own, 0))[:, None, None]
        return torch.cat([key, extra_key], 1), torch.cat([value, extra_value], 1), bias


def install(unet: UNet2DConditionModel) -> ReferenceMemory:
    """Puts a `ReferenceAttnProcessor` into every self-attention layer of a U-Net.

    Args:
        unet: changed in place, through diffusers' own `set_attn_processor`.

    Returns:
        The memory that the processors share.
    """
    memory = ReferenceMemory()
    processors = {
        name: ReferenceAttnProcessor(name, memory) if ".attn1." in name else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)
    return memory
