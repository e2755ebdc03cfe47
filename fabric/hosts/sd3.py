"""Stable Diffusion 3 and 3.5: image and prompt attend to each other jointly, flow matching, positions in the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import SD3Transformer2DModel
from diffusers.models.attention_processor import JointAttnProcessor2_0
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import calculate_shift
from torch import Tensor

from fabric.hosts.base import Call, halves
from fabric.hosts.transformer import TransformerHost
from fabric.plan import Role
from fabric.processor import Layer
from fabric.projector import KeyValueProjector, LayerCall, Projected


class JointProjector(KeyValueProjector):
    """Joint attention of the image's tokens, which come first, and the prompt's; or, without these, self-attention."""

    replaces = (JointAttnProcessor2_0,)

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """See `Projector`."""
        return own(attn, call.hidden, call.text, call.mask)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """See `Projector`."""
        query = _normed(attn.norm_q, attn.to_q(call.hidden).unflatten(-1, (attn.heads, -1)))
        key, value = self._key_and_value(attn, call.hidden)
        if call.text is None:
            return Projected(query, key, value)
        of_text = [
            project(call.text).unflatten(-1, (attn.heads, -1))
            for project in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
        ]
        of_text[:2] = _normed(attn.norm_added_q, of_text[0]), _normed(attn.norm_added_k, of_text[1])
        image = slice(0, query.shape[1])
        query, key, value = (torch.cat(pair, dim=1) for pair in zip((query, key, value), of_text, strict=True))
        return Projected(query, key, value, image)

    def finish(self, attn: Any, out: Tensor, call: LayerCall) -> Any:
        """See `Projector`."""
        image, text = out.flatten(2).tensor_split((call.hidden.shape[1],), dim=1)
        image = attn.to_out[1](attn.to_out[0](image))
        if call.text is None:
            return image
        return image, text if attn.context_pre_only else attn.to_add_out(text)

    def _key_and_value(self, attn: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        key, value = super()._key_and_value(attn, hidden)
        return _normed(attn.norm_k, key), value


def _normed(norm: Callable[[Tensor], Tensor] | None, heads: Tensor) -> Tensor:
    return heads if norm is None else norm(heads)


class SD3Host(TransformerHost):
    """Stable Diffusion 3 or 3.5; see `Host`."""

    family = "Stable Diffusion 3.x"
    kind = SD3Transformer2DModel
    projector = JointProjector()
    flow = True
    guidance = 7.0
    level = 0.25  # in 3.5 Large at 1024 x 1024 each step's own would take 30 GB for a picture and 20 steps

    def find_layers(self) -> dict[str, Layer]:
        """See `Host`."""
        return self.layers_named([".attn.processor", ".attn2.processor"])

    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """See `TransformerHost`; the prompt of the unconditional pass is encoded as any other."""
        states, _, pooled, _ = self.pipeline.encode_prompt(
            text, None, None, device=device, do_classifier_free_guidance=False
        )
        return {"encoder_hidden_states": states, "pooled_projections": pooled}

    def arguments(
        self,
        sample: Tensor,
        timestep: Tensor,
        told: Mapping[str, Any],
        guidance: Sequence[float],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """See `Host`."""
        return {"hidden_states": sample, "timestep": timestep.expand(len(sample)), **self.cast(told)}

    def roles(self, call: Call) -> tuple[Role, ...]:
        """See `Host`; the call of skip-layer guidance is conditional, whatever it is used for."""
        batch, guided = len(call.arguments["hidden_states"]), self.pipeline.do_classifier_free_guidance
        if call.arguments.get("skip_layers") is not None:
            return (Role.CONDITIONAL,) * batch
        return halves(batch, guided)

    def start(self, scheduler: Any, steps: int, size: tuple[int, int], device: torch.device) -> None:
        """See `Host`."""
        shift = shift_of(scheduler, size[0] * size[1] // self.multiple**2, 1.16)
        scheduler.set_timesteps(steps, device=device, **({} if shift is None else {"mu": shift}))


def shift_of(scheduler: Any, tokens: int, most: float) -> float | None:
    """How far a scheduler is to shift its timesteps for images of so many tokens; None where it does not by size."""
    config = scheduler.config
    if not config.get("use_dynamic_shifting", False):
        return None
    return calculate_shift(
        tokens,
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", most),
    )
