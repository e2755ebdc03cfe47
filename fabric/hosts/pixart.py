"""PixArt-alpha and -Sigma: self-attention apart from the prompt, variance preserving, positions added to the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import PixArtTransformer2DModel
from torch import Tensor

from fabric.hosts.base import Call, halves
from fabric.hosts.transformer import TransformerHost, doubled
from fabric.plan import Role
from fabric.processor import Layer


class PixArtHost(TransformerHost):
    """PixArt-alpha or -Sigma; see `Host`."""

    family = "PixArt-alpha and -Sigma"
    kind = PixArtTransformer2DModel
    lora_scale = "cross_attention_kwargs"
    guidance = 4.5

    @property
    def usual_layers(self) -> range:
        """See `Host`: the last two thirds, as in FLUX.1; in all of them a picture costs a fifth more."""
        return self.last_two_thirds

    def find_layers(self) -> dict[str, Layer]:
        """See `Host`."""
        return self.layers_named([".attn1.processor"])

    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """See `TransformerHost`; the prompt of the unconditional pass is encoded as any other."""
        states, mask, *_ = self.pipeline.encode_prompt(text, do_classifier_free_guidance=False, device=device)
        return {"encoder_hidden_states": states, "encoder_attention_mask": mask}

    def arguments(
        self,
        sample: Tensor,
        timestep: Tensor,
        told: Mapping[str, Any],
        guidance: Sequence[float],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """See `Host`; some are told the size and its aspect."""
        micro: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
        if self.core.use_additional_conditions:
            count = len(sample)
            micro["resolution"] = sample.new_tensor([size]).expand(count, -1)
            micro["aspect_ratio"] = sample.new_tensor([[size[0] / size[1]]]).expand(count, -1)
        return {
            "hidden_states": sample,
            "timestep": timestep.expand(len(sample)),
            "added_cond_kwargs": micro,
            **self.cast(told),
        }

    def predict(self, arguments: Mapping[str, Any]) -> Tensor:
        """See `Host`; what is predicted of the variance is of no use."""
        return super().predict(arguments)[:, : self.channels]

    def roles(self, call: Call) -> tuple[Role, ...]:
        """See `Host`; the pipelines do not say whether they guide, but then all latents come twice."""
        sample = call.arguments["hidden_states"]
        return halves(len(sample), doubled(sample))
