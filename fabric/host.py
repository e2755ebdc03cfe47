"""What differs between models: a pipeline with a U-Net as FABRIC sees it. Transformers would be other hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn

from fabric.encoding import Text, Texts
from fabric.images import FeedbackImage
from fabric.processor import Layer
from fabric.version import model_version

FAMILIES = "Stable Diffusion 1.x, 2.x and XL with a U-Net, whatever the task"
_DECODED = 64 * 64  # latent pixels decoded at once: those of one image of 512 x 512
_PARTS = ("down_blocks", "mid_block", "up_blocks")
_SIX = 6  # numbers that SDXL is told about a size; its refiner is told five


class UNetHost:
    """A Stable Diffusion pipeline of any task.

    Args:
        pipeline: left as it is; processors are exchanged only within `fabric.hook.attached`.

    Raises:
        ValueError: it is of no known family, or its U-Net has layers that references cannot be shown to.
    """

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        unet = getattr(pipeline, "unet", None)
        core = getattr(unet, "_orig_mod", unet)  # of a compiled one
        if not isinstance(core, UNet2DConditionModel) or not hasattr(pipeline, "encode_prompt"):
            raise ValueError(f"pipeline: {type(pipeline).__name__} is of no known family; allowed: {FAMILIES}")
        if getattr(pipeline, "do_perturbed_attention_guidance", False):
            raise ValueError("pipeline: perturbed attention guidance cannot be combined with feedback; turn it off")
        self.pipeline = pipeline
        self.core = core
        self.texts = Texts(pipeline)
        self.layers = self_attention_layers(core)

    @property
    def unet(self) -> nn.Module:
        """What the pipeline calls."""
        return self.pipeline.unet

    @property
    def device(self) -> torch.device:
        """Where the models run, wherever they lie between; milliseconds to find out."""
        return torch.device(self.pipeline._execution_device)

    @property
    def may_break_off(self) -> bool:
        """Whether a call of the U-Net may end in its middle: it is not compiled, and nothing waits for parts of it."""
        parts = (part for part in self.core.modules() if part is not self.core)
        return self.unet is self.core and not any(
            "forward" in vars(part) or part._forward_hooks or part._compiled_call_impl for part in parts
        )

    @property
    def version(self) -> tuple[object, ...]:
        """What hidden states depend on besides the picture: weights, adapters and their scales, dtypes."""
        parts = [self.core, self.pipeline.vae, getattr(self.pipeline, "text_encoder", None)]
        parts.append(getattr(self.pipeline, "text_encoder_2", None))
        return tuple(model_version(part) for part in parts if part is not None)

    def latents(self, image: FeedbackImage, size: tuple[int, int], device: torch.device) -> Tensor:
        """A picture's latents, the mean of what the codec's encoder finds, as the U-Net takes them; 1 x c x h x w."""
        vae = self.pipeline.vae
        with upcast(vae) as dtype:
            pixels = image.pixels(*size)[None].to(device, dtype)
            found = vae.encode(pixels).latent_dist.mean
        shift, spread = _statistics(vae.config, found)
        return ((found - shift) * vae.config.scaling_factor / spread).to(self.core.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents, float32 on the CPU; only few large ones at once, so that a batch needs little memory."""
        vae = self.pipeline.vae
        with upcast(vae) as dtype:
            shift, spread = _statistics(vae.config, latents)
            unscaled = (latents / vae.config.scaling_factor * spread + shift).to(dtype)
            at_once = max(1, _DECODED // unscaled[0, 0].numel())
            return torch.cat([vae.decode(few).sample.float().cpu().clamp(-1, 1) for few in unscaled.split(at_once)])

    def reference_call(self, noisy: Tensor, clean: Tensor, size: tuple[int, int], call: Mapping[str, Any]) -> Any:
        """Arguments of the pass that records references: those of the call that they are for, with the empty prompt.

        Args:
            noisy: N x c x h x w noised references.
            clean: their latents.
            size: height and width of the images in pixels.
            call: keyword arguments of the call.

        Returns:
            Sample and keyword arguments of the U-Net.
        """
        count = len(noisy)
        null = self.texts.get([Text("", negative=True)], size, noisy.device)
        kwargs: dict[str, Any] = {"encoder_hidden_states": null.states.expand(count, -1, -1).to(noisy.dtype)}
        theirs = call.get("added_cond_kwargs") or {}
        if (added := null.added()) is not None:
            ids = theirs.get("time_ids")
            if ids is not None and ids.shape[-1] != _SIX:
                added["time_ids"] = ids[-1:]
            kwargs["added_cond_kwargs"] = {
                name: value.expand(count, -1).to(noisy.dtype) for name, value in added.items()
            }
        if theirs.get("image_embeds") is not None:  # an IP-Adapter: no image
            zeros = [torch.zeros_like(embeds[:1]).repeat_interleave(count, 0) for embeds in theirs["image_embeds"]]
            kwargs.setdefault("added_cond_kwargs", {})["image_embeds"] = zeros
        if call.get("timestep_cond") is not None:
            kwargs["timestep_cond"] = call["timestep_cond"][:1].expand(count, -1)
        if scale := (call.get("cross_attention_kwargs") or {}).get("scale"):
            kwargs["cross_attention_kwargs"] = {"scale": scale}
        if self.core.config.in_channels > noisy.shape[1]:
            # Of inpainting: nothing is masked, all of the picture is known.
            noisy = torch.cat([noisy, torch.zeros_like(noisy[:, :1]), clean.to(noisy)], dim=1)
        return noisy, kwargs

    def unconditional(self, batch: int) -> int:
        """How many samples of a call belong to the unconditional pass, which come first."""
        return batch // 2 if getattr(self.pipeline, "do_classifier_free_guidance", False) else 0


@contextmanager
def upcast(vae: Any) -> Iterator[torch.dtype]:
    """Within, a codec that overflows in half precision, as SDXL's does, runs in single precision; its dtype then."""
    half = vae.dtype == torch.float16 and vae.config.force_upcast and vae.config.get("scaling_factor", 1) < 0.15
    if not half:
        yield vae.dtype
        return
    vae.to(torch.float32)
    try:
        yield torch.float32
    finally:
        vae.to(torch.float16)


def _statistics(config: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that some SDXL codecs state for each channel; 0 and 1 elsewhere."""
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None or std is None:
        return like.new_zeros(()), like.new_ones(())
    return like.new_tensor(mean).view(1, -1, 1, 1), like.new_tensor(std).view(1, -1, 1, 1)


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
