"""A pool of rendered training scenes, made once and kept on disk, since rendering costs as much as a small network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from experiments.embedded.cache import read_cache, write_cache
from experiments.embedded.world.world import Scenes, World
from fabric.seeding import generator_for

_CHUNK = 500


def to_signed(images: Tensor) -> Tensor:
    """Pictures in [0, 1] or bytes as float32 in [-1, 1], the range of codec and U-Net."""
    if images.dtype == torch.uint8:
        return images.float() / 127.5 - 1
    return images * 2 - 1


@dataclass(frozen=True)
class Batch:
    """Scenes with their pictures, B x 3 x 64 x 64 in [-1, 1]."""

    scenes: Scenes
    images: Tensor


@dataclass(frozen=True)
class Pool:
    """Scenes with their pictures as bytes.

    Attributes:
        scenes: N scenes.
        pixels: N x 3 x 64 x 64 uint8.
    """

    scenes: Scenes
    pixels: Tensor

    def __len__(self) -> int:
        return len(self.scenes)

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """`count` scenes, with replacement."""
        rows = torch.randint(len(self), (count,), generator=generator)
        return Batch(self.scenes[rows], to_signed(self.pixels[rows]))


def make_pool(path: Path, world: World, count: int, seed: int) -> Pool:
    """Renders `count` scenes of the training combinations, or reads them where `path` holds them already.

    Args:
        path: safetensors file; replaced where it holds other scenes than those asked for.
        world: of the scenes.
        count: number of scenes.
        seed: of the scenes.

    Returns:
        The pool.
    """
    key = f"{count} scenes, seed {seed}"
    stored = read_cache(path, key)
    if stored is not None:
        return Pool(Scenes(world, stored["attributes"], stored["jitter"]), stored["pixels"])
    scenes = world.sample(count, generator_for(seed, "pool"), held_out=False)
    chunks = tqdm(range(0, count, _CHUNK), desc="scenes", mininterval=2)
    pixels = torch.cat([(world.render(scenes[k : k + _CHUNK]) * 255).round().byte() for k in chunks])
    write_cache(path, key, {"attributes": scenes.attributes, "jitter": scenes.jitter, "pixels": pixels})
    return Pool(scenes, pixels)
