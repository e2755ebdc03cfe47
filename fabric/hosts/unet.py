"""Stable Diffusion 1.x, 2.x and XL: U-Nets; with guidance a batch holds unconditional samples, then conditional."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from fabric.encoding import Text, Texts, cut_words
from fabric.hosts.base import Call, Host, halves
from fabric.plan import Role
from fabric.processor import Layer

_PARTS = ("down_blocks", "mid_block", "up_blocks")
_SIX = 6  # numbers that SDXL is told about a size; its refiner is told five


class UNetHost(Host):
    """A Stable Diffusion pipeline of any task; see `Host`."""

    family = "Stable Diffusion 1.x, 2.x and XL with a U-Net, whatever the task"
    part = "unet"
    kind = UNet2DConditionModel
    sample = "sample"

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        if getattr(pipeline, "do_perturbed_attention_guidance", False):
            raise ValueError("pipeline: perturbed attention guidance cannot be combined with feedback; turn it off")
        super().__init__(pipeline)
        self.texts = Texts(pipeline)

    def find_layers(self) -> dict[str, Layer]:
        """See `Host`."""
        return self_attention_layers(self.core)

    def told(self, texts: Sequence[Text], size: tuple[int, int], device: torch.device) -> dict[str, Any]:
        """See `Host`."""
        found = self.texts.get(texts, size, device)
        return {"encoder_hidden_states": found.states, "added_cond_kwargs": found.added()}

    def arguments(
        self,
        sample: Tensor,
        timestep: Tensor,
        told: Mapping[str, Any],
        guidance: Sequence[float],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """See `Host`; a U-Net that was distilled with guidance, as full LCM checkpoints are, is told of it."""
        made = {"sample": sample, "timestep": timestep, **told}
        if (width := self.core.config.time_cond_proj_dim) is not None:
            scales = self.pipeline.get_guidance_scale_embedding(torch.tensor(guidance) - 1, embedding_dim=width)
            made["timestep_cond"] = scales.to(sample.device, self.core.dtype)
        return made

    def reference_arguments(
        self, noisy: Tensor, clean: Tensor, timestep: float, size: tuple[int, int], call: Call
    ) -> dict[str, Any]:
        """See `Host`."""
        count, given = len(noisy), call.arguments
        null = self.texts.get([Text("", negative=True)], size, noisy.device)
        made: dict[str, Any] = {"encoder_hidden_states": null.states.expand(count, -1, -1).to(noisy.dtype)}
        theirs = given.get("added_cond_kwargs") or {}
        if (added := null.added()) is not None:
            ids = theirs.get("time_ids")
            if ids is not None and ids.shape[-1] != _SIX:
                added["time_ids"] = ids[-1:]
            made["added_cond_kwargs"] = {name: value.expand(count, -1).to(noisy.dtype) for name, value in added.items()}
        if theirs.get("image_embeds") is not None:  # an IP-Adapter: no image
            zeros = [torch.zeros_like(embeds[:1]).repeat_interleave(count, 0) for embeds in theirs["image_embeds"]]
            made.setdefault("added_cond_kwargs", {})["image_embeds"] = zeros
        if given.get("timestep_cond") is not None:
            made["timestep_cond"] = given["timestep_cond"][:1].expand(count, -1)
        if scale := (given.get("cross_attention_kwargs") or {}).get("scale"):
            made["cross_attention_kwargs"] = {"scale": scale}
        if self.core.config.in_channels > noisy.shape[1]:
            # Of inpainting: nothing is masked, all of the picture is known.
            noisy = torch.cat([noisy, torch.zeros_like(noisy[:, :1]), clean.to(noisy)], dim=1)
        return {"sample": noisy, "timestep": torch.tensor(timestep, device=noisy.device), **made}

    def predict(self, arguments: Mapping[str, Any]) -> Tensor:
        """See `Host`; called as diffusers' pipelines do, for hooks that expect it."""
        others = {name: value for name, value in arguments.items() if name not in ("sample", "timestep")}
        return self.model(arguments["sample"], arguments["timestep"], **others).sample

    def roles(self, call: Call) -> tuple[Role, ...]:
        """See `Host`."""
        return halves(len(call.arguments["sample"]), getattr(self.pipeline, "do_classifier_free_guidance", False))

    def tokens(self, layer: Layer, size: tuple[int, int]) -> int:
        """See `Host`; every level but the last halves the grid, rounding up; the middle block has that of the last."""
        blocks, factor = len(self.core.config.block_out_channels), self.pipeline.vae_scale_factor
        halved = 2 ** min(round(layer.depth * blocks), blocks - 1)
        return math.prod(math.ceil(side // factor / halved) for side in size)

    def cut_words(self, prompt: str) -> str:
        """See `Host`."""
        return cut_words(self.pipeline, prompt)

    @property
    def native_size(self) -> tuple[int, int]:
        """See `Host`."""
        size, factor = self.core.config.sample_size, self.pipeline.vae_scale_factor
        height, width = (size, size) if isinstance(size, int) else size
        return height * factor, width * factor


def self_attention_layers(unet: UNet2DConditionModel) -> dict[str, Layer]:
    """The self-attention layers by the names of their processors, in the order in which a call comes to them.

    Raises:
        ValueError: one of them is of a kind that references cannot be shown to.
    """
    if unet.config.only_cross_attention or getattr(unet.config, "mid_block_only_cross_attention", None):
        raise ValueError(
            "pipeline: its U-Net attends to the prompt alone in some layers; allowed: ordinary self-attention"
        )
    blocks = len(unet.config.block_out_channels)
    names = sorted(
        (name for name in unet.attn_processors if ".attn1." in name), key=lambda name: _PARTS.index(name.split(".")[0])
    )
    levels = {name: level_of(name, blocks) for name in names}
    finest = min(levels.values())
    return {name: Layer(name, level / blocks, level == finest) for name, level in levels.items()}


def level_of(name: str, blocks: int) -> int:
    """How deep a layer is: 0 in the outermost of `blocks` down or up blocks, `blocks` in the middle block."""
    part, index, *_ = name.split(".")
    if part == "mid_block":
        return blocks
    return int(index) if part == "down_blocks" else blocks - 1 - int(index)
