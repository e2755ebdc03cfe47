"""`fabric-bo generate` on models that it finds by their hub id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from tests.real import hub

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def generate(command: Command, tmp_path: Path) -> Callable[..., np.ndarray]:
    """Pixels of the image that the command makes with a model and options."""

    def pixels(model: str, size: int, *options: str | Path) -> np.ndarray:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        given = ("--model", model, "--size", f"{size}x{size}", "--device", "cpu", "--output", folder, *options)
        done = command("generate", "a cat in a hat", *given)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{folder}/0000-0.png\n"
        image = np.asarray(Image.open(folder / "0000-0.png"), dtype=float)
        assert image.shape == (size, size, 3)
        assert image.std() > 10  # numbers that are not finite become one colour
        return image

    return pixels


@pytest.mark.slow
def test_sd15_with_half_the_channels(home: Path, generate: Callable[..., np.ndarray], pictures: list[Path]) -> None:
    hub.save_sd15(home, narrower=2)
    generate(hub.SD15_ID, 64, "--steps", "1", "--liked", pictures[0], "--disliked", pictures[1])


@pytest.mark.real
def test_sd15(sd15: str, generate: Callable[..., np.ndarray], pictures: list[Path]) -> None:
    options = ("--steps", "2", "--liked", pictures[0], "--disliked", pictures[1])
    plain = generate(sd15, 256, *options[:2])
    steered = generate(sd15, 256, *options)
    assert np.abs(steered - plain).mean() > 1
    assert np.array_equal(generate(sd15, 256, *options, "--strength", "0"), plain)
    assert np.array_equal(generate(sd15, 256, *options, "--offload"), steered)


@pytest.mark.real
def test_sdxl_with_half_the_channels(home: Path, generate: Callable[..., np.ndarray], pictures: list[Path]) -> None:
    hub.save_sdxl(home, narrower=2)
    plain = generate(hub.SDXL_ID, 128, "--steps", "2")
    assert np.abs(generate(hub.SDXL_ID, 128, "--steps", "2", "--liked", pictures[0]) - plain).mean() > 1
