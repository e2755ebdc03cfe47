"""What software and hardware something was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import torch

from fabric.models import checked_device

_PACKAGES = (
    "fabric-bo",
    "torch",
    "diffusers",
    "transformers",
    "open_clip_torch",
    "botorch",
    "gpytorch",
    "optuna",
    "numpy",
    "scipy",
    "matplotlib",
)


def versions(device: str | None = None) -> dict[str, str]:
    """Of what is installed here.

    Args:
        device: that images are generated on; the best there is by default.
    """
    known = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            known[name] = "not installed"
    place = checked_device(device)
    known["platform"] = f"{platform.platform()}, {os.cpu_count()} processors, {torch.get_num_threads()} threads"
    known["device"] = torch.cuda.get_device_name(place) if place.type == "cuda" else str(place)
    return known
