"""Stable Diffusion 3 and 3.5: image and prompt attend to each other jointly, flow matching, positions in the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import SD3Transformer2DModel
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch import Tensor

from fabric.hosts.base import Call, halves
from fabric.hosts.transformer import TransformerHost, shift_of
from fabric.plan import Role
from fabric.processor import Layer
from fabric.projector import JointProjector, LayerCall, Projected


class SD3Projector(JointProjector):
    """The image's tokens come first; layers of the image alone are without the prompt's."""

    replaces = (JointAttnProcessor2_0,)

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """See `Projector`."""
        return own(attn, call.hidden, call.text, call.mask)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """See `Projector`."""
        query, key, value = self._of_image(attn, call.hidden)
        if call.text is None:
            return Projected(query, key, value)
        image, pairs = slice(0, query.shape[1]), zip((query, key, value), self._of_text(attn, call.text), strict=True)
        query, key, value = (torch.cat(pair, dim=1) for pair in pairs)
        return Projected(query, key, value, image)

    def finish(self, attn: Any, out: Tensor, call: LayerCall, rest: Any = None) -> Any:
        """See `Projector`."""
        image, text = out.flatten(2).tensor_split((call.hidden.shape[1],), dim=1)
        image = attn.to_out[1](attn.to_out[0](image))
        if call.text is None:
            return image
        return image, text if attn.context_pre_only else attn.to_add_out(text)


class SD3Host(TransformerHost):
    """Stable Diffusion 3 or 3.5; see `Host`."""

    family = "Stable Diffusion 3.x"
    kind = SD3Transformer2DModel
    projector = SD3Projector()
    flow = True
    guidance = 7.0
    level = 0.25  # in 3.5 Large at 1024 x 1024 each step's own would take 30 GB for a picture and 20 steps

    @property
    def usual_layers(self) -> range:
        """See `Host`: all; the last two thirds in 3.5 Medium, which has a second attention in some blocks."""
        return self.last_two_thirds if self.core.config.dual_attention_layers else super().usual_layers

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
