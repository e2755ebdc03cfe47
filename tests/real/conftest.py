from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.real import hub


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for `HF_HOME`, removed as soon as its test ends: models take gigabytes."""
    yield tmp_path / "hub-home"
    shutil.rmtree(tmp_path / "hub-home", ignore_errors=True)


@pytest.fixture
def command(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the installed `fabric-bo`, offline, with the models of `home`."""
    program = Path(sys.executable).with_name("fabric-bo")
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_CACHE"}
    environment |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two files: one of coarse coloured squares, one of fine ones."""
    generator = np.random.default_rng(0)
    paths = []
    for squares in (4, 32):
        colours = generator.integers(0, 256, (squares, squares, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{squares}.png")
        Image.fromarray(colours).resize((256, 256), Image.Resampling.NEAREST).save(paths[-1])
    return paths


@pytest.fixture
def sd15(home: Path) -> str:
    """Hub id of Stable Diffusion 1.5, which is in the cache of `home`."""
    hub.save_sd15(home)
    return hub.SD15_ID
