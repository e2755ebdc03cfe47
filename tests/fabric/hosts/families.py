"""The families by name, each with the class that tests it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.fabric.hosts import test_flux, test_flux2, test_pixart, test_qwen, test_sana, test_sd3
from tests.fabric.hosts.laws import HostLaws

FAMILIES: dict[str, type[HostLaws]] = {
    "FLUX.1": test_flux.TestFluxDev,
    "FLUX.2 klein": test_flux2.TestFlux2Klein,
    "PixArt-alpha and -Sigma": test_pixart.TestPixArt,
    "Qwen-Image": test_qwen.TestQwenImage,
    "Sana": test_sana.TestSana,
    "Stable Diffusion 3.x": test_sd3.TestSD3,
}


def save(family: str, folder: Path) -> Any:
    """Saves a tiny pipeline with random weights as a folder, and gives it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = FAMILIES[family]().build()
    pipe.save_pretrained(folder)
    return pipe
