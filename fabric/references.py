"""Computes references: feedback images noised to a step and passed through the model with the empty prompt."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from cachetools import LRUCache
from torch import Tensor

from fabric.bank import ReferenceBank
from fabric.hosts.base import Call, Host
from fabric.images import FeedbackImage
from fabric.noise_level import NoiseLevels
from fabric.processor import Hidden
from fabric.seeding import generator_for

Record = Callable[[Callable[[], object], Sequence[str]], Mapping[str, Tensor]]
_TOGETHER = 16  # references in one pass
_LATENTS = 1024  # pictures whose latents are kept; 64 KB each at 512 x 512


@dataclass(frozen=True)
class Step:
    """What references depend on at a step besides the picture.

    Attributes:
        timestep: that the model is told.
        size: height and width of the generated images in pixels.
        layers: in which references are seen; see `Host.seen`.
        with_outer: whether somebody attends to them in the outermost layers.
        version: of the model.
        device: that they are needed on.
    """

    timestep: float
    size: tuple[int, int]
    layers: range
    with_outer: bool
    version: tuple[object, ...]
    device: torch.device


class References:
    """Hidden states of feedback images at a step, out of the bank or computed.

    References that are missing are passed through the model together, so a value out of the bank equals one computed
    alone up to the rounding of the batch.

    Args:
        host: of the pipeline.
        bank: keeps what is computed.
        seed: of the noise. It is the same for all references and steps: how a picture is noised depends neither on its
            pixels nor on other pictures, so a small change of a picture is a small change of its reference.

    Raises:
        ValueError: the bank keeps the hidden states of another model.
    """

    def __init__(self, host: Host, bank: ReferenceBank, seed: int = 0) -> None:
        bank.bind(host.core)
        self.host = host
        self.bank = bank
        self.seed = seed
        self._latents: LRUCache[Hashable, Tensor] = LRUCache(_LATENTS)

    @torch.no_grad()
    def at(
        self, images: Mapping[str, FeedbackImage], step: Step, levels: NoiseLevels, record: Record, call: Call
    ) -> dict[str, Hidden]:
        """Hidden states of images at one step.

        Args:
            images: by id.
            step: the step.
            levels: noise that the model expects.
            record: runs a call of the model and gives what the named layers keep, B x ... by name.
            call: that they are for.

        Returns:
            Image id to layer name to what it keeps.
        """
        layers = [layer.name for layer in self.host.seen(step.layers, outer=step.with_outer)]
        if not layers:
            return {}
        hidden: dict[str, Hidden] = {}
        missing: list[str] = []
        whole = replace(step, with_outer=True)  # serves where the outermost layers are not needed, too
        for name in images:
            key = (name, whole if (name, whole) in self.bank else step)
            found = self.bank.get(key, step.device)
            if found is None:
                missing.append(name)
            else:
                hidden[name] = found
        for start in range(0, len(missing), _TOGETHER):
            names = missing[start : start + _TOGETHER]
            recorded = self._record([images[name] for name in names], layers, step, levels, record, call)
            for name, states in zip(names, recorded, strict=True):
                self.bank.put((name, step), states)
                hidden[name] = states
        return hidden

    def _record(
        self,
        images: Iterable[FeedbackImage],
        layers: Sequence[str],
        step: Step,
        levels: NoiseLevels,
        record: Record,
        call: Call,
    ) -> list[dict[str, Tensor]]:
        """Layer name to what it keeps, for each image."""
        signal, noise = levels.at(step.timestep)
        clean = torch.cat([self._encoded(image, step) for image in images])
        drawn = torch.randn(clean.shape[1:], generator=generator_for("reference", self.seed))
        noisy = signal * clean + noise * drawn.to(clean)
        arguments = self.host.reference_arguments(noisy, clean, step.timestep, step.size, call)
        recorded = record(lambda: self.host.predict(arguments), layers)
        return [{name: recorded[name][place] for name in layers} for place in range(len(clean))]

    def _encoded(self, image: FeedbackImage, step: Step) -> Tensor:
        key = (image.id, step.size, step.version)
        if key not in self._latents:
            self._latents[key] = self.host.latents(image, step.size, step.device)
        return self._latents[key]
