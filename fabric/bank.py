"""Keeps references' hidden states, so that they are computed once for all images, rounds and trials."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import torch
from torch import Tensor

from fabric.attention import Hidden


class ReferenceBank:
    """Hidden states by key, the least recently used dropped where they exceed a budget.

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
        self._entries: OrderedDict[Hashable, Hidden] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, device: torch.device) -> Hidden | None:
        """Hidden states on a device, or None where they are not there (any more)."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return {name: tensor.to(device, non_blocking=True) for name, tensor in self._entries[key].items()}

    def put(self, key: Hashable, hidden: Hidden) -> None:
        """Keeps hidden states, as far as the budget allows."""
        size = _bytes(hidden)
        if size > self.budget:
            return
        self._drop(key)
        while self.bytes + size > self.budget:
            self._drop(next(iter(self._entries)))
        self._entries[key] = {name: self._stored(tensor) for name, tensor in hidden.items()}
        self.bytes += size

    def clear(self) -> None:
        """Forgets everything; needed when the model changes."""
        self._entries.clear()
        self.bytes = 0

    def _drop(self, key: Hashable) -> None:
        dropped = self._entries.pop(key, None)
        if dropped is not None:
            self.bytes -= _bytes(dropped)

    def _stored(self, tensor: Tensor) -> Tensor:
        if not self.offload or tensor.device.type == "cpu":
            return tensor.contiguous()
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.device.type == "cuda")
        return host.copy_(tensor)


def _bytes(hidden: Hidden) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in hidden.values())
