"""Tensors that were costly to make, kept on disk with what they are."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor


def read_cache(path: Path, key: str) -> dict[str, Tensor] | None:
    """Tensors that `write_cache` wrote under the same key, or None."""
    if not path.exists():
        return None
    with safe_open(path, "pt") as stored:
        if (stored.metadata() or {}).get("key") != key:
            return None
    return load_file(path)


def write_cache(path: Path, key: str, tensors: dict[str, Tensor]) -> None:
    """Writes tensors with the key that says what they are; a run killed meanwhile leaves no torn file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    save_file(tensors, unfinished, {"key": key})
    unfinished.replace(path)
