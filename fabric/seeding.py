"""Random generators of their own for everything that is drawn, so that no draw depends on another."""

from __future__ import annotations

import hashlib

import torch


def generator_for(*key: str | int) -> torch.Generator:
    """A CPU generator for what `key` names, the same on every machine; no global generator is read or moved."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
