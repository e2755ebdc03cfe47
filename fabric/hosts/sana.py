"""Sana: linear self-attention, of which a reference is one small matrix for each head; flow matching, no positions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, SanaTransformer2DModel
from diffusers.models.attention_processor import SanaLinearAttnProcessor2_0
from torch import Tensor

from fabric.attention import Partial, SeenReferences
from fabric.hosts.base import Call, core_of, halves
from fabric.hosts.transformer import TransformerHost
from fabric.linear_attention import attend_state, attend_states, state
from fabric.plan import Role
from fabric.processor import Layer
from fabric.projector import LayerCall, Projected, Projector

_LARGEST = 65504  # of half precision


class LinearProjector(Projector):
    """Linear attention with rectified queries and keys, in single precision as diffusers computes it."""

    keeps_tokens = False
    replaces = (SanaLinearAttnProcessor2_0,)

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """See `Projector`."""
        return own(attn, call.hidden, call.text, call.mask)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """See `Projector`."""
        query, key = attn.to_q(call.hidden), attn.to_k(call.hidden)
        query = query if attn.norm_q is None else attn.norm_q(query)
        key = key if attn.norm_k is None else attn.norm_k(key)
        parts = F.relu(query), F.relu(key), attn.to_v(call.hidden)
        return Projected(*(part.unflatten(-1, (attn.heads, -1)).float() for part in parts))

    def keep(self, attn: Any, call: LayerCall) -> Tensor:
        """See `Projector`: the state, N x H x (d + 1) x d."""
        _, key, value, *_ = self.project(attn, call)
        return state(key, value)

    def kept_bytes(self, attn: Any, tokens: int, dtype: torch.dtype) -> int:
        """See `Projector`."""
        width = attn.to_k.out_features // attn.heads
        return attn.heads * (width + 1) * width * torch.float32.itemsize

    def attend_own(self, projected: Projected) -> Partial:
        """See `Projector`."""
        return attend_state(projected.query, state(projected.key, projected.value))

    def read(self, attn: Any, kept: Tensor, positions: Any, like: Tensor) -> Any:
        """See `Projector`."""
        return kept

    def attend(self, query: Tensor, read: Any, seen: SeenReferences) -> Partial:
        """See `Projector`."""
        return attend_states(query, read[seen.places], seen.log_weight)

    def finish(self, attn: Any, out: Tensor, call: LayerCall, rest: Any = None) -> Any:
        """See `Projector`."""
        out = super().finish(attn, out.to(call.hidden.dtype), call)
        return out.clip(-_LARGEST, _LARGEST) if out.dtype == torch.float16 else out


class SanaHost(TransformerHost):
    """Sana; see `Host`."""

    family = "Sana"
    kind = SanaTransformer2DModel
    projector = LinearProjector()
    lora_scale = "attention_kwargs"
    flow = True
    absent = (*TransformerHost.absent, "masking")
    guidance = 4.5

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        if core_of(pipeline, "transformer").config.guidance_embeds:
            raise ValueError("pipeline: the noise of Sana Sprint is of another kind; allowed: Sana")
        super().__init__(pipeline)

    def find_layers(self) -> dict[str, Layer]:
        """See `Host`."""
        return self.layers_named([".attn1.processor"])

    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """See `TransformerHost`; the pipeline puts an instruction before prompts, but not before negative ones."""
        usual = inspect.signature(type(self.pipeline).__call__).parameters["complex_human_instruction"].default
        states, mask, *_ = self.pipeline.encode_prompt(
            text,
            do_classifier_free_guidance=False,
            device=device,
            complex_human_instruction=None if negative else usual,
        )
        return {"encoder_hidden_states": states, "encoder_attention_mask": mask}

    def arguments(
        self,
        sample: Tensor,
        timestep: Tensor,
        told: Mapping[str, Any],
        guidance: Sequence[float],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """See `Host`."""
        return {
            "hidden_states": sample.to(self.core.dtype),
            "timestep": timestep.expand(len(sample)) * self.core.config.timestep_scale,
            **self.cast(told),
        }

    def roles(self, call: Call) -> tuple[Role, ...]:
        """See `Host`."""
        return halves(len(call.arguments["hidden_states"]), self.pipeline.do_classifier_free_guidance)

    def timestep(self, call: Call) -> float:
        """See `Host`."""
        return super().timestep(call) / self.core.config.timestep_scale

    def encode(self, pixels: Tensor) -> Tensor:
        """See `Host`; the codec is no variational one."""
        return self.pipeline.vae.encode(pixels).latent

    @property
    def latent_dtype(self) -> torch.dtype:
        """See `Host`."""
        return torch.promote_types(self.core.dtype, torch.float32)
