"""Qwen-Image: joint attention in blocks of two streams, rotary positions, flow matching, guidance of kept length.

References are told the place of a second picture, behind the image, as Qwen-Image-Edit tells it to pictures that are to
be changed: nothing of the image is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import QwenImageTransformer2DModel
from diffusers.models.transformers.transformer_qwenimage import QwenDoubleStreamAttnProcessor2_0, apply_rotary_emb_qwen
from torch import Tensor

from fabric.encoding import Text
from fabric.hosts.base import Call
from fabric.hosts.packed import PackedHost
from fabric.processor import Layer
from fabric.projector import JointProjector, LayerCall, Projected


class QwenProjector(JointProjector):
    """The prompt's tokens first; they are of different number in a batch, so those that fill up are not seen."""

    replaces = (QwenDoubleStreamAttnProcessor2_0,)

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """See `Projector`."""
        return own(attn, call.hidden, call.text, call.text_mask, image_rotary_emb=call.rotary)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """See `Projector`."""
        assert call.text is not None, "all blocks have two streams"
        of_image, of_text = self._of_image(attn, call.hidden), self._of_text(attn, call.text)
        query, key = (
            torch.cat([_turned(text, call.rotary[1]), _turned(image, call.rotary[0])], dim=1)
            for text, image in zip(of_text[:2], of_image[:2], strict=True)
        )
        bias = None
        if call.text_mask is not None:
            seen = torch.cat([call.text_mask, call.text_mask.new_ones(call.hidden.shape[:2])], dim=1)
            bias = torch.zeros_like(seen, dtype=query.dtype).masked_fill(~seen, -torch.inf)
        image = slice(call.text.shape[1], None)
        return Projected(query, key, torch.cat([of_text[2], of_image[2]], dim=1), image, bias)

    def read(self, attn: Any, kept: Tensor, positions: Any, like: Tensor) -> Any:
        """See `Projector`."""
        key, value = super().read(attn, kept, positions, like)
        return _turned(key, positions), value

    def finish(self, attn: Any, out: Tensor, call: LayerCall, rest: Any = None) -> Any:
        """See `Projector`."""
        assert call.text is not None, "all blocks have two streams"
        return self._of_both(attn, out, call.text.shape[1])


def _turned(heads: Tensor, places: Tensor) -> Tensor:
    return apply_rotary_emb_qwen(heads, places, use_real=False)


class QwenImageHost(PackedHost):
    """Qwen-Image; see `Host`."""

    family = "Qwen-Image"
    kind = QwenImageTransformer2DModel
    projector = QwenProjector()
    lora_scale = "attention_kwargs"
    guidance = 4.0
    level = 0.25  # at 1024 x 1024 each step's own would take 40 GB for a picture and 20 steps

    @property
    def usual_layers(self) -> range:
        """See `Host`: the last two thirds, so that two pictures of 1024 x 1024 fit the bank."""
        return self.last_two_thirds

    def find_layers(self) -> dict[str, Layer]:
        """See `Host`."""
        return self.layers_named([".attn.processor"])

    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """See `TransformerHost`; the prompt of the unconditional pass is encoded as any other."""
        states, _ = self.pipeline.encode_prompt(text, device=device)
        return {"encoder_hidden_states": states}

    def told(self, texts: Sequence[Text], size: tuple[int, int], device: torch.device) -> dict[str, Any]:
        """See `Host`; prompts of different length are filled up, and a mask says how far they go."""
        rows = [super(QwenImageHost, self).told([text], size, device)["encoder_hidden_states"] for text in texts]
        lengths = torch.tensor([row.shape[1] for row in rows], device=device)
        most = int(lengths.max())
        states = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, most - row.shape[1])) for row in rows])
        if (lengths == most).all():
            return {"encoder_hidden_states": states}
        mask = torch.arange(most, device=device) < lengths[:, None]
        return {"encoder_hidden_states": states, "encoder_hidden_states_mask": mask}

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
        return {
            "hidden_states": sample,
            "timestep": self.told_timestep(timestep, sample),
            "img_shapes": [[(1, height, width)]] * len(sample),
            **self.cast(told),
        }

    def guide(self, unconditional: Tensor, conditional: Tensor, scale: Tensor) -> Tensor:
        """See `Host`; what comes of it is made as long as the conditional answer is, token by token."""
        guided = super().guide(unconditional, conditional, scale)
        return guided * (conditional.norm(dim=-1, keepdim=True) / guided.norm(dim=-1, keepdim=True))

    def grid(self, call: Call) -> tuple[int, int]:
        """See `Host`."""
        (_, height, width), *_ = call.arguments["img_shapes"][0]
        return self.grid_of(call.arguments["hidden_states"].shape[1], (height, width))

    def positions(self, call: Call) -> Any:
        """See `Host`."""
        shape, hidden = call.arguments["img_shapes"][0][0], call.arguments["hidden_states"]
        places, _ = self.core.pos_embed([[shape, shape]], max_txt_seq_len=1, device=hidden.device)
        return places[hidden.shape[1] :]

    def encode(self, pixels: Tensor) -> Tensor:
        """See `Host`; the codec is of films, an image is one of one frame."""
        return super().encode(pixels[:, :, None])[:, :, 0]

    def unpack(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """See `Host`."""
        return super().unpack(latents, size)[:, :, 0]

    def decode_few(self, latents: Tensor) -> Tensor:
        """See `Host`."""
        return super().decode_few(latents[:, :, None])[:, :, 0]

    @property
    def codec_channels(self) -> int:
        """See `Host`."""
        return self.pipeline.vae.config.z_dim
