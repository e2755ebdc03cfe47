"""U-Nets of well-known models, by their shapes: to count and to time without anybody's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel


@dataclass(frozen=True)
class UNetLayout:
    """The shape of a model.

    Attributes:
        name: that people know it by.
        config: of its U-Net, as the checkpoints have it.
    """

    name: str
    config: dict[str, Any]

    def unet(self) -> UNet2DConditionModel:
        """On the meta device: shapes without numbers."""
        with torch.device("meta"):
            return UNet2DConditionModel(**self.config).eval()

    def call(self, batch: int, pixels: int) -> dict[str, Any]:
        """Arguments of a call of the U-Net."""
        width = self.config["cross_attention_dim"]
        arguments: dict[str, Any] = {
            "sample": torch.empty(batch, 4, pixels // 8, pixels // 8, device="meta"),
            "timestep": torch.empty((), device="meta"),
            "encoder_hidden_states": torch.empty(batch, 77, width, device="meta"),
        }
        if self.config.get("addition_embed_type") == "text_time":
            added = {"text_embeds": 1280, "time_ids": 6}
            arguments["added_cond_kwargs"] = {
                name: torch.empty(batch, size, device="meta") for name, size in added.items()
            }
        return arguments


SD15 = UNetLayout("SD 1.5", {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8})
SDXL = UNetLayout(
    "SDXL",
    {
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
)
LAYOUTS = {"sd15": SD15, "sdxl": SDXL}
