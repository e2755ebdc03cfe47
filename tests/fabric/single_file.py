"""Writes a pipeline as one `.safetensors` file with the weights' names of CompVis' original Stable Diffusion 1.x."""

from __future__ import annotations

import re
from pathlib import Path

from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor

_UNET = {
    r"^time_embedding\.linear_(\d)": lambda m: f"time_embed.{2 * int(m[1]) - 2}",
    r"^conv_in": lambda m: "input_blocks.0.0",
    r"^conv_norm_out": lambda m: "out.0",
    r"^conv_out": lambda m: "out.2",
    r"^mid_block\.resnets\.(\d)": lambda m: f"middle_block.{2 * int(m[1])}",
    r"^mid_block\.attentions\.0": lambda m: "middle_block.1",
}
_RESNET = {
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
}
_VAE = {
    r"down_blocks\.(\d)\.resnets": lambda m: f"down.{m[1]}.block",
    r"down_blocks\.(\d)\.downsamplers\.0": lambda m: f"down.{m[1]}.downsample",
    r"mid_block\.resnets\.(\d)": lambda m: f"mid.block_{int(m[1]) + 1}",
    r"mid_block\.attentions\.0": lambda m: "mid.attn_1",
    r"attn_1\.group_norm": lambda m: "attn_1.norm",
    r"attn_1\.to_(q|k|v)": lambda m: f"attn_1.{m[1]}",
    r"attn_1\.to_out\.0": lambda m: "attn_1.proj_out",
    r"conv_norm_out": lambda m: "norm_out",
    r"conv_shortcut": lambda m: "nin_shortcut",
}


def _unet_name(name: str, layers: int, deepest: int, attends: set[int]) -> str:
    for pattern, new in _UNET.items():
        name = re.sub(pattern, new, name)
    if m := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", name):
        way, block, part, layer, rest = m[1], int(m[2]), m[3], int(m[4]), m[5]
        if way == "down":
            first = 1 + block * (layers + 1)
            place = {"resnets": f"{first + layer}.0", "attentions": f"{first + layer}.1"}
            name = (
                f"input_blocks.{place[part]}.{rest}"
                if part in place
                else f"input_blocks.{first + layers}.0.op.{rest[5:]}"
            )
        else:
            first = block * (layers + 1)
            behind = 2 if deepest - block in attends else 1
            place = {"resnets": f"{first + layer}.0", "attentions": f"{first + layer}.1"}
            name = f"output_blocks.{place.get(part, f'{first + layers}.{behind}')}.{rest}"
    for old, new_name in _RESNET.items():
        name = re.sub(rf"^((?:in|out)put_blocks\.\d+\.0|middle_block\.\d)\.{old}\b", rf"\1.{new_name}", name)
    return f"model.diffusion_model.{name}"


def _vae_name(name: str, blocks: int) -> str:
    for pattern, new in _VAE.items():
        name = re.sub(pattern, new, name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", name)
    return f"first_stage_model.{name}"


def save_single_file(pipe: StableDiffusionPipeline, path: Path) -> None:
    """Writes U-Net, codec and text encoder; configurations are not part of such a file."""
    unet, vae = pipe.unet, pipe.vae
    deepest = len(unet.config.block_out_channels) - 1
    attends = {k for k, kind in enumerate(unet.config.down_block_types) if "CrossAttn" in kind}
    stored: dict[str, Tensor] = {}
    for name, tensor in unet.state_dict().items():
        stored[_unet_name(name, unet.config.layers_per_block, deepest, attends)] = tensor
    for name, tensor in vae.state_dict().items():
        new = _vae_name(name, len(vae.config.block_out_channels))
        # The original attention of the codec is made of 1 x 1 convolutions.
        is_projection = "attn_1" in new and new.endswith("weight") and tensor.ndim == 2
        stored[new] = tensor[:, :, None, None] if is_projection else tensor
    for name, tensor in pipe.text_encoder.state_dict().items():
        stored[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, path)
