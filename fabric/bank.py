"""Keeps references' hidden states, so that they are computed once for all images, rounds and trials."""

from __future__ import annotations

import math
import weakref
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class _Entry:
    """Tensors in one flat buffer, which moves in one copy.

    Attributes:
        buffer: all numbers.
        shapes: of the tensors, by name, in order.
        run: the last one that used it.
    """

    buffer: Tensor
    shapes: dict[str, torch.Size]
    run: int

    @property
    def bytes(self) -> int:
        return self.buffer.numel() * self.buffer.element_size()

    def tensors(self, device: torch.device) -> dict[str, Tensor]:
        flat = self.buffer.to(device, non_blocking=self.buffer.is_pinned())
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}


class ReferenceBank:
    """Hidden states by key, within a budget.

    What a run has used is not dropped for what the same run asks for next: steps come in the same order every time, so
    dropping the oldest would drop exactly what comes next. Of a working set that does not fit, as much as fits is kept
    and found again: hits = budget / working set.

    Args:
        budget: bytes to keep at most.
        offload: keep them in main memory (pinned where CUDA is there) instead of where they were computed.

    Raises:
        ValueError: the budget is negative.
    """

    def __init__(self, budget: int = 4 * 2**30, *, offload: bool = False) -> None:
        if budget < 0:
            raise ValueError(f"budget: {budget} is out of range; allowed: 0 or more bytes")
        self.budget = budget
        self.offload = offload
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: dict[Hashable, _Entry] = {}
        self._run = 0
        self._model: weakref.ref[torch.nn.Module] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def bind(self, model: torch.nn.Module) -> None:
        """Ties the bank to a model, whose hidden states it keeps from now on.

        Raises:
            ValueError: it keeps those of another one.
        """
        known = None if self._model is None else self._model()
        if known is not None and known is not model:
            raise ValueError("bank: keeps the hidden states of another model; allowed: one bank for each model")
        self._model = weakref.ref(model)

    def begin_run(self) -> None:
        """Says that a new run begins; what earlier ones used may be dropped for it, the longest unused first."""
        self._run += 1

    def get(self, key: Hashable, device: torch.device) -> dict[str, Tensor] | None:
        """Hidden states on a device, or None where they are not there (any more)."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        entry.run = self._run
        return entry.tensors(device)

    def put(self, key: Hashable, hidden: Mapping[str, Tensor]) -> None:
        """Keeps hidden states of one dtype, as far as the budget allows."""
        self._drop(key)
        needed = sum(tensor.numel() * tensor.element_size() for tensor in hidden.values())
        unused = sorted((entry.run, place, name) for place, (name, entry) in enumerate(self._entries.items()))
        free = self.budget - self.bytes
        for run, _, name in unused:
            if free >= needed or run == self._run:
                break
            free += self._entries[name].bytes
            self._drop(name)
        if free >= needed:
            flat = torch.cat([tensor.flatten() for tensor in hidden.values()])
            shapes = {name: tensor.shape for name, tensor in hidden.items()}
            self._entries[key] = _Entry(self._stored(flat), shapes, self._run)
            self.bytes += needed

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()
        self.bytes = 0

    def _drop(self, key: Hashable) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self.bytes -= entry.bytes

    def _stored(self, flat: Tensor) -> Tensor:
        if not self.offload or flat.device.type == "cpu":
            return flat
        host = torch.empty(flat.shape, dtype=flat.dtype, pin_memory=flat.device.type == "cuda")
        return host.copy_(flat)
