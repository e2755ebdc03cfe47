"""FLUX.2 klein: as FLUX.1, with one layer for attention and feed-forward in single-stream blocks, and trained places.

Pictures that are to be changed are told a time of their own, T = 10, 20, ...; references are told the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline, Flux2Transformer2DModel
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_flux2 import (
    Flux2AttnProcessor,
    Flux2ParallelSelfAttention,
    Flux2ParallelSelfAttnProcessor,
)
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from torch import Tensor

from fabric.hosts.base import Call, core_of
from fabric.hosts.flux import FluxHost, FluxProjector
from fabric.plan import Role
from fabric.projector import LayerCall, Projected

_TIME = 10  # of the first picture beside the image


class Flux2Projector(FluxProjector):
    """Single-stream layers make queries, keys, values and what the feed-forward layer wants at once."""

    replaces = (Flux2AttnProcessor, Flux2ParallelSelfAttnProcessor)

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """See `Projector`; single-stream layers give their places where others give the mask."""
        if isinstance(attn, Flux2ParallelSelfAttention):
            return own(attn, call.hidden, None, call.mask)
        return super().plain(attn, call, own)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """See `Projector`."""
        if not isinstance(attn, Flux2ParallelSelfAttention):
            return super().project(attn, call)
        assert call.image_tokens is not None, "both streams are in one sequence"
        query, key, value, rest = _parts(attn, call.hidden)
        query, key = (apply_rotary_emb(x, call.mask, sequence_dim=1) for x in (attn.norm_q(query), attn.norm_k(key)))
        return Projected(query, key, value, slice(query.shape[1] - call.image_tokens, None), rest=rest)

    def kept_bytes(self, attn: Any, tokens: int, dtype: torch.dtype) -> int:
        """See `Projector`."""
        return 2 * tokens * attn.inner_dim * dtype.itemsize

    def finish(self, attn: Any, out: Tensor, call: LayerCall, rest: Any = None) -> Any:
        """See `Projector`."""
        if not isinstance(attn, Flux2ParallelSelfAttention):
            return super().finish(attn, out, call)
        return attn.to_out(torch.cat([out.flatten(2), attn.mlp_act_fn(rest)], dim=-1))

    def _key_and_value(self, attn: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(attn, Flux2ParallelSelfAttention):
            return super()._key_and_value(attn, hidden)
        _, key, value, _ = _parts(attn, hidden)
        return attn.norm_k(key), value


def _parts(attn: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, keys and values, N x L x H x d, and what the feed-forward layer wants."""
    made = attn.to_qkv_mlp_proj(hidden)
    of_heads, rest = made.tensor_split((3 * attn.inner_dim,), dim=-1)
    query, key, value = (x.unflatten(-1, (attn.heads, -1)) for x in of_heads.chunk(3, dim=-1))
    return query, key, value, rest


class Flux2Host(FluxHost):
    """FLUX.2 klein, base or distilled; see `Host`."""

    family = "FLUX.2 klein"
    kind = Flux2Transformer2DModel
    projector = Flux2Projector()
    says_guidance = True

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        if core_of(pipeline, "transformer").config.guidance_embeds or "is_distilled" not in pipeline.config:
            raise ValueError(f"pipeline: {type(pipeline).__name__} is not known; allowed: FLUX.2 klein")
        super().__init__(pipeline)
        self.classifier_free = not pipeline.config["is_distilled"]
        self.guidance = 4.0 if self.classifier_free else 1.0
        self.absent = ("bottleneck", "emphasis", *(() if self.classifier_free else ("guidance_scale",)))

    def roles(self, call: Call) -> tuple[Role, ...]:
        """See `Host`."""
        self.guided = self.pipeline.do_classifier_free_guidance
        return super().roles(call)

    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """See `TransformerHost`; the prompt of the unconditional pass is encoded as any other."""
        return {"encoder_hidden_states": self.pipeline.encode_prompt(text, device=device)[0]}

    def arguments(
        self,
        sample: Tensor,
        timestep: Tensor,
        told: Mapping[str, Any],
        guidance: Sequence[float],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """See `Host`; places are time, row, column, and place in the prompt."""
        height, width = (side // self.multiple for side in size)
        first, tokens = torch.arange(1), torch.arange(told["encoder_hidden_states"].shape[1])
        of_image = torch.cartesian_prod(first, torch.arange(height), torch.arange(width), first)
        of_text = torch.cartesian_prod(first, first, first, tokens)
        return {
            "hidden_states": sample.to(self.core.dtype),
            "timestep": self.told_timestep(timestep, sample),
            "guidance": None,
            "img_ids": of_image.to(sample.device).expand(len(sample), -1, -1),
            "txt_ids": of_text.to(sample.device).expand(len(sample), -1, -1),
            **self.cast(told),
        }

    def grid(self, call: Call) -> tuple[int, int]:
        """See `Host`."""
        _, height, width, _ = (int(side) + 1 for side in _places(call).amax(dim=0).tolist())
        return self.grid_of(call.arguments["hidden_states"].shape[1], (height, width))

    def positions(self, call: Call) -> Any:
        """See `Host`."""
        places = _places(call)
        return self.core.pos_embed(places + places.new_tensor([_TIME, 0, 0, 0]))

    def encode(self, pixels: Tensor) -> Tensor:
        """See `Host`; models take latents that are normalised token by token."""
        found = self.pipeline._patchify_latents(super().encode(pixels))
        mean, spread = self._normal(found)
        return self.pipeline._unpatchify_latents((found - mean) / spread)

    def pack(self, latents: Tensor) -> Tensor:
        """See `Host`."""
        return self.pipeline._pack_latents(self.pipeline._patchify_latents(latents))

    def unpack(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """See `Host`."""
        height, width = (side // self.multiple for side in size)
        tokens = latents.transpose(1, 2).unflatten(2, (height, width))
        mean, spread = self._normal(tokens)
        return self.pipeline._unpatchify_latents(tokens * spread + mean)

    def _normal(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the codec's latents, for each channel of a token."""
        vae = self.pipeline.vae
        spread = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
        mean, spread = (x.view(1, -1, 1, 1).to(like) for x in (vae.bn.running_mean, spread))
        return mean, spread

    def shift(self, scheduler: Any, steps: int, tokens: int) -> float | None:
        """See `PackedHost`; by the number of steps too."""
        return float(compute_empirical_mu(image_seq_len=tokens, num_steps=steps))


def _places(call: Call) -> Tensor:
    """Of the image's tokens, L x 4."""
    places: Tensor = call.arguments["img_ids"]
    return places[0] if places.ndim == 3 else places
