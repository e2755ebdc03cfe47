"""FLUX.1: joint attention, in blocks of two streams and of one; rotary positions, flow matching, no unconditional pass.

Reference tokens are told places to the right of the image, where nothing of the image is: a query finds keys of its own
place above all others, so references in the image's place are copied point by point (AlignedGen, arXiv 2509.17088). As
there, references are seen in the single-stream blocks; the double-stream ones, which come first, see them as far as
`outer` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import DiffusionPipeline, FluxTransformer2DModel
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_flux import FluxAttnProcessor
from torch import Tensor

from fabric.hosts.base import Call
from fabric.hosts.packed import PATCH, PackedHost
from fabric.knobs import Knob
from fabric.processor import Layer
from fabric.projector import JointProjector, LayerCall, Projected

_OUTER = "Factor on the weights in the double-stream layers; 0: these layers, which come first, see no pictures."


class FluxProjector(JointProjector):
    """The prompt's tokens first; single-stream blocks have both in one sequence."""

    replaces: tuple[type[Any], ...] = (FluxAttnProcessor,)

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """See `Projector`."""
        return own(attn, call.hidden, call.text, call.mask, call.rotary)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """See `Projector`."""
        image = call.hidden.shape[1] if call.image_tokens is None else call.image_tokens
        query, key, value = self._of_image(attn, call.hidden)
        if call.text is not None:
            pairs = zip(self._of_text(attn, call.text), (query, key, value), strict=True)
            query, key, value = (torch.cat(pair, dim=1) for pair in pairs)
        query, key = (apply_rotary_emb(x, call.rotary, sequence_dim=1) for x in (query, key))
        return Projected(query, key, value, slice(query.shape[1] - image, None))

    def read(self, attn: Any, kept: Tensor, positions: Any, like: Tensor) -> Any:
        """See `Projector`."""
        key, value = super().read(attn, kept, positions, like)
        return apply_rotary_emb(key, positions, sequence_dim=1), value

    def finish(self, attn: Any, out: Tensor, call: LayerCall, rest: Any = None) -> Any:
        """See `Projector`."""
        return out.flatten(2) if call.text is None else self._of_both(attn, out, call.text.shape[1])


class FluxHost(PackedHost):
    """FLUX.1 dev, schnell and what is tuned of them; see `Host`."""

    family = "FLUX.1"
    kind = FluxTransformer2DModel
    projector = FluxProjector()
    classifier_free = False
    level = 0.25  # at 1024 x 1024 each step's own would take 38 GB for a picture and 20 steps

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        super().__init__(pipeline)
        told = self.core.config.guidance_embeds  # else distilled to few steps, without guidance
        self.guidance = 3.5 if told else 1.0
        self.absent = ("bottleneck", "emphasis") if told else ("bottleneck", "emphasis", "guidance_scale")

    @property
    def knobs(self) -> dict[str, Knob]:
        """See `Host`; `outer` is of the double-stream layers."""
        knobs = super().knobs
        return {**knobs, "outer": replace(knobs["outer"], meaning=_OUTER)}

    def find_layers(self) -> dict[str, Layer]:
        """See `Host`."""
        names = self.layers_named([".attn.processor"])
        return {name: Layer(name, 0.0, outermost=name.startswith("transformer_blocks.")) for name in names}

    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """See `TransformerHost`."""
        states, pooled, _ = self.pipeline.encode_prompt(text, device=device)
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
        height, width = (side // self.multiple for side in size)
        ids = torch.cartesian_prod(torch.arange(1), torch.arange(height), torch.arange(width))
        scales = torch.tensor(guidance, device=sample.device) if self.core.config.guidance_embeds else None
        return {
            "hidden_states": sample,
            "timestep": self.told_timestep(timestep, sample),
            "guidance": scales,
            "img_ids": ids.to(sample),
            "txt_ids": sample.new_zeros(told["encoder_hidden_states"].shape[1], 3),
            **self.cast(told),
        }

    def grid(self, call: Call) -> tuple[int, int]:
        """See `Host`."""
        ids = call.arguments["img_ids"].float()
        height, width = (int(side) + 1 for side in ids.flatten(0, -2).amax(dim=0)[1:].tolist())
        return self.grid_of(call.arguments["hidden_states"].shape[1], (height, width))

    def image_tokens(self, call: Call) -> int | None:
        """See `Host`."""
        return call.arguments["hidden_states"].shape[1]

    def positions(self, call: Call) -> Any:
        """See `Host`: the rotary embedding of places as far to the right as the image is wide."""
        ids = call.arguments["img_ids"].float()
        ids = ids.flatten(0, -2)[: call.arguments["hidden_states"].shape[1]]
        return self.core.pos_embed(ids + ids.new_tensor([0, 0, self.grid(call)[1] // PATCH]))
