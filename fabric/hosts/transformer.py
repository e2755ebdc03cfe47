"""What transformers have in common: prompts are rows of tensors by name, blocks are of one size, none is the middle."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from cachetools import LRUCache
from diffusers import DiffusionPipeline
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import calculate_shift
from torch import Tensor

from fabric.encoding import Text
from fabric.hosts.base import Call, Host, encoder_versions
from fabric.processor import Layer

_KEPT = 16  # encoded prompts; 512 x 4096 half-precision numbers are 4 MB


class TransformerHost(Host):
    """A pipeline whose denoiser is a transformer of equal blocks; see `Host`.

    Attributes:
        lora_scale: argument of the model that holds the scale of LoRAs.
    """

    absent: tuple[str, ...] = ("bottleneck", "outer", "emphasis")
    lora_scale: ClassVar[str] = "joint_attention_kwargs"

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        super().__init__(pipeline)
        if self.channels != (latent := self.codec_channels):
            raise ValueError(
                f"pipeline: its {type(self.core).__name__} takes {self.channels} channels, the codec makes {latent}; "
                "allowed: models that take latents alone"
            )
        self._encoded: LRUCache[Hashable, dict[str, Tensor]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    @abstractmethod
    def encode_text(self, text: str, device: torch.device, *, negative: bool) -> dict[str, Tensor]:
        """What the model is told of a prompt, a row; `negative` is for the unconditional pass."""

    def told(self, texts: Sequence[Text], size: tuple[int, int], device: torch.device) -> dict[str, Any]:
        """See `Host`."""
        versions = encoder_versions(self.pipeline)
        with self._lock:
            rows = [self._row(text, device, versions) for text in texts]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    @torch.no_grad()
    def _row(self, text: Text, device: torch.device, versions: Hashable) -> dict[str, Tensor]:
        key = (text.prompt, text.negative, device, versions)
        if key not in self._encoded:
            self._encoded[key] = self.encode_text(text.prompt, device, negative=text.negative)
        return self._encoded[key]

    def reference_arguments(
        self, noisy: Tensor, clean: Tensor, timestep: float, size: tuple[int, int], call: Call
    ) -> dict[str, Any]:
        """See `Host`. Models that are told a guidance are told the usual one, whatever that of the images is."""
        count = len(noisy)
        null = self.told([Text("", negative=True)], size, noisy.device)
        told = {name: value.expand(count, *value.shape[1:]) for name, value in null.items()}
        at = torch.tensor(timestep, device=noisy.device)
        arguments = self.arguments(noisy, at, told, [self.guidance] * count, size)
        if scale := (call.arguments.get(self.lora_scale) or {}).get("scale"):
            arguments[self.lora_scale] = {"scale": scale}
        return arguments

    def layers_named(self, endings: Iterable[str]) -> dict[str, Layer]:
        """Layers whose processors' names end so, in the order of the blocks."""
        names = (name for name in self.core.attn_processors if name.endswith((*endings,)))
        return {name: Layer(name, 0.0, outermost=False) for name in names}

    @property
    def last_two_thirds(self) -> range:
        """Places of the layers after the first third, for families in which all of them would cost too much."""
        return range(len(self.layers) // 3, len(self.layers))

    def tokens(self, layer: Layer, size: tuple[int, int]) -> int:
        """See `Host`; the same in all layers."""
        return size[0] * size[1] // self.multiple**2

    def cast(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Prompts in the model's precision; masks as they are."""
        return {name: x.to(self.core.dtype) if x.is_floating_point() else x for name, x in told.items()}

    @property
    def multiple(self) -> int:
        """See `Host`."""
        return self.pipeline.vae_scale_factor * self.core.config.patch_size

    @property
    def native_size(self) -> tuple[int, int]:
        """See `Host`."""
        side = self.core.config.sample_size * self.pipeline.vae_scale_factor
        return side, side


def doubled(sample: Tensor) -> bool:
    """Whether a batch holds the same latents twice, as pipelines make it for guidance that do not say so otherwise."""
    first, second = sample[: len(sample) // 2], sample[len(sample) // 2 :]
    return len(sample) % 2 == 0 and torch.equal(first, second)


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
