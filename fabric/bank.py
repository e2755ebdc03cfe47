"""Keeps references' hidden states, so that they are computed once for all images, rounds and trials."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from cachetools import LRUCache
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
        self.offload = offload
        self._entries: LRUCache[Hashable, Hidden] = LRUCache(budget, getsizeof=_bytes)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What is kept."""
        return int(self._entries.currsize)

    def get(self, key: Hashable, device: torch.device) -> Hidden | None:
        """Hidden states on a device, or None where they are not there (any more)."""
        found = self._entries.get(key)
        if found is None:
            return None
        return {name: tensor.to(device, non_blocking=True) for name, tensor in found.items()}

    def put(self, key: Hashable, hidden: Hidden) -> None:
        """Keeps hidden states, as far as the budget allows."""
        if _bytes(hidden) <= self._entries.maxsize:
            self._entries.pop(key, None)
            self._entries[key] = {name: self._stored(tensor) for name, tensor in hidden.items()}

    def clear(self) -> None:
        """Forgets everything; needed when the model changes."""
        self._entries.clear()

    def _stored(self, tensor: Tensor) -> Tensor:
        if not self.offload or tensor.device.type == "cpu":
            return tensor.contiguous()
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.device.type == "cuda")
        return host.copy_(tensor)


def _bytes(hidden: Hidden) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in hidden.values())
