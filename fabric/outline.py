"""A model known by its configurations alone: its family, its knobs, the memory it will take; no weights are read."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.loaders.single_file_utils import fetch_diffusers_config
from safetensors import safe_open
from torch import Tensor, nn

from fabric.hosts import host_of
from fabric.model_files import ENCODERS, UNETS, in_short, kind_of, precision, tensors_of
from fabric.models import checked_device, locate

_META = torch.device("meta")


class Outline:
    """A model of which nothing can run: its parts are of the right shapes and hold no values.

    Args:
        name: see `fabric.models.load`, as the next three.
        device: that it would run on.
        dtype: precision of all parts.
        config: of a single file.

    Raises:
        ValueError: nothing of that name, or an architecture that is not supported; the message says which.

    Attributes:
        host: the family's sight of it.
    """

    def __init__(
        self,
        name: str,
        device: str | torch.device | None = None,
        dtype: str | None = None,
        config: str | None = None,
    ) -> None:
        where = locate(name)
        self._kind = kind_of(where, config)
        self._dtype = precision(self._kind, checked_device(device), dtype)
        self._made = getattr(diffusers, self._kind)
        try:
            self._configs = (config or _usual(Path(where))) if where.endswith(".safetensors") else where
            self._index = self._made.load_config(self._configs)
            self.host = host_of(self._pipeline())
        except OSError as error:
            raise ValueError(f"model: {name} cannot be read ({in_short(error)})") from error

    @property
    def scheduler(self) -> str:
        """Name of the scheduler that it has where none is given; see `fabric.models.load`."""
        return "euler-a" if self._kind in UNETS else "own"

    @cached_property
    def weight_bytes(self) -> int:
        """What its weights take in memory, text encoders and codec included."""
        pipeline = self.host.pipeline
        parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        parts += [self._encoder(part) for part in ENCODERS if (self._index.get(part) or [None])[0] == "transformers"]
        tensors = [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _pipeline(self) -> Any:
        """The pipeline, with what denoises, the codec and the scheduler, without text encoders."""
        parts: dict[str, Any] = dict.fromkeys(self._made._get_signature_keys(self._made)[0])
        for part in ("unet", "transformer", "vae"):
            if part in self._index:
                kind = getattr(diffusers, self._index[part][1])
                with _META:
                    made = kind.from_config(kind.load_config(self._configs, subfolder=part))
                parts[part] = _in_precision(made, self._dtype)
        kind = getattr(diffusers, self._index["scheduler"][1])
        parts["scheduler"] = kind.from_pretrained(self._configs, subfolder="scheduler")
        without = {"requires_safety_checker": False} if "safety_checker" in parts else {}
        return self._made(**parts, **without)

    def _encoder(self, part: str) -> nn.Module:
        kind = getattr(transformers, self._index[part][1])
        config = kind.config_class.from_pretrained(self._configs, subfolder=part)
        with _META:
            made: nn.Module = kind._from_config(config, dtype=self._dtype)
        return made


def _in_precision(made: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A module as it is read: what is stored is in the precision, other buffers are as they were made."""
    for module in made.modules():
        stored: list[Tensor | None] = [*module._parameters.values()]
        stored += [each for name, each in module._buffers.items() if name not in module._non_persistent_buffers_set]
        for tensor in stored:
            if tensor is not None and tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)
    return made


def _usual(file: Path) -> str:
    """Hub id of the configuration that diffusers takes for a single file."""
    with safe_open(file, "pt") as stored:
        shapes = {name: torch.empty(stored.get_slice(name).get_shape(), device=_META) for name in tensors_of(file)}
    return str(fetch_diffusers_config(shapes)["pretrained_model_name_or_path"])
