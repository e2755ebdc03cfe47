"""A world of one's own: a folder of pictures with captions."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import ImageOps
from PIL.Image import Resampling
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from experiments.embedded.world.world import SIDE, Scenes, World, words_of
from fabric.images import find_pictures, read_picture

LEAST = 8  # pictures, to tell one from another
_ZOOM, _SHIFT = 0.10, 0.05  # a picture is shown up to so much larger, and up to so much of its half side away
_METADATA = ("metadata.jsonl", "metadata.csv")


class FolderWorld(World):
    """Pictures with captions; a scene is one of them, cropped a little differently each time.

    Args:
        captions: of N pictures.
        pixels: N x 3 x 64 x 64 bytes.
    """

    name = "folder"
    full_prompt = short_prompt = ("picture",)
    unsaid = structure = style = ()
    said: Mapping[str, float] = {"picture": 1.0}
    openings = ("",)
    faint: Mapping[str, float] = {}
    jitter = 3

    def __init__(self, captions: tuple[str, ...], pixels: Tensor) -> None:
        # Captions may come twice, and are told apart by their place.
        self.attributes = {"picture": tuple(f"{place} {caption}" for place, caption in enumerate(captions))}
        self._pixels = pixels

    @cached_property
    def words(self) -> frozenset[str]:
        """See `World`."""
        return words_of(" ".join(self.attributes["picture"]))

    def is_held_out(self, scenes: Scenes) -> Tensor:
        """See `World`; none is."""
        return torch.zeros(len(scenes), dtype=torch.bool)

    def render(self, scenes: Scenes) -> Tensor:
        """See `World`."""
        zoom = 1 / (1 + _ZOOM * scenes.jitter[:, 0])
        x, y = (_SHIFT * (scenes.jitter[:, k] * 2 - 1) for k in (1, 2))
        matrix = torch.eye(2, 3) * zoom[:, None, None]
        matrix[:, 0, 2], matrix[:, 1, 2] = x, y
        pictures = self._pixels[scenes.column("picture")].float() / 255
        grid = F.affine_grid(matrix, [len(scenes), 3, SIDE, SIDE], align_corners=False)
        return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False).clamp(0, 1)

    def caption(self, values: Mapping[str, str], said: tuple[str, ...], opening: str = "") -> str:
        """See `World`."""
        return values["picture"].partition(" ")[2] if said else ""


def folder_world(folder: Path) -> FolderWorld:
    """The world of a folder of pictures with captions.

    A caption is the text file beside a picture (`fox.png`, `fox.txt`), or its line in `metadata.jsonl` or
    `metadata.csv` with `file_name` and `text`, as the library `datasets` has it.

    Args:
        folder: of at least `LEAST` pictures.

    Raises:
        ValueError: there are too few pictures, one cannot be read, or one has no caption; the message names it.
    """
    if not folder.is_dir():
        raise ValueError(f"folder: {folder} is no folder; allowed: one with pictures and captions")
    pictures = find_pictures(folder)
    if len(pictures) < LEAST:
        raise ValueError(f"folder: {folder} has {len(pictures)} pictures; allowed: {LEAST} or more")
    listed = _listed(folder)
    captions = tuple(_caption(path, listed) for path in pictures)
    fitted = (ImageOps.fit(read_picture(path), (SIDE, SIDE), Resampling.LANCZOS) for path in pictures)
    return FolderWorld(captions, torch.stack([pil_to_tensor(picture) for picture in fitted]))


def _listed(folder: Path) -> dict[str, str]:
    """File name to caption, as the metadata file says, if there is one."""
    path = next((folder / name for name in _METADATA if (folder / name).exists()), None)
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        rows = [json.loads(line) for line in lines if line] if path.suffix == ".jsonl" else list(csv.DictReader(lines))
        return {str(row["file_name"]): str(row["text"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"folder: {path} cannot be read ({error!r}); allowed: lines with file_name and text"
        ) from error


def _caption(picture: Path, listed: Mapping[str, str]) -> str:
    beside = picture.with_suffix(".txt")
    caption = beside.read_text(encoding="utf-8") if beside.exists() else listed.get(picture.name, "")
    words = " ".join(caption.split())
    if not words:
        raise ValueError(
            f"folder: {picture} has no caption; allowed: {beside.name} beside it, or a line in {_METADATA[0]}"
        )
    return words
