"""Feedback images: read from files with clear errors, known by their content, fitted to the size that is generated."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

FORMATS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True, eq=False)
class FeedbackImage:
    """A liked or disliked picture.

    Attributes:
        picture: an RGB image of any size.
        round: the round that it was judged in; later rounds are newer.
        mask: h x w values from 0 to 1 that multiply its weight place by place, stretched over the picture as it is
            fitted; None for 1 everywhere.
    """

    picture: Image.Image
    round: int = 0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        # A picture that is changed later is another one; what is transparent shows white.
        object.__setattr__(self, "picture", to_rgb(self.picture).copy())
        if self.mask is not None and (self.mask.ndim != 2 or self.mask.min() < 0 or self.mask.max() > 1):
            raise ValueError(f"mask: shape {tuple(self.mask.shape)}; allowed: height x width, values from 0 to 1")

    @cached_property
    def id(self) -> str:
        """A name by content: the same picture is the same reference, whoever likes it and however often."""
        return hashlib.sha256(f"{self.picture.size}".encode() + self.picture.tobytes()).hexdigest()[:16]

    @cached_property
    def key(self) -> str:
        """A name by content and mask: images of one key are attended to alike."""
        if self.mask is None:
            return self.id
        mask = self.mask.float().cpu().numpy()
        return self.id + hashlib.sha256(f"{mask.shape}".encode() + mask.tobytes()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeedbackImage) and (self.key, self.round) == (other.key, other.round)

    def __hash__(self) -> int:
        return hash((self.key, self.round))

    def with_masking(self, masking: float) -> FeedbackImage:
        """The same with a mask m that counts in part, 1 - masking (1 - m); see `FabricParams.masking`."""
        if self.mask is None or masking == 1:
            return self
        return replace(self, mask=None if masking == 0 else 1 - masking * (1 - self.mask))

    def pixels(self, height: int, width: int) -> Tensor:
        """The picture scaled and centre-cropped, never squashed: 3 x height x width in [-1, 1]."""
        fitted = ImageOps.fit(self.picture, (width, height), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.asarray(fitted).copy()).permute(2, 0, 1).float() / 127.5 - 1

    def fitted_mask(self, height: int, width: int) -> Tensor | None:
        """The mask cropped as the picture is, height x width, or None."""
        if self.mask is None:
            return None
        rows, columns = self.picture.size[1], self.picture.size[0]
        full = Image.fromarray(self.mask.float().numpy()).resize((columns, rows), Image.Resampling.BILINEAR)
        fitted = ImageOps.fit(full, (width, height), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.asarray(fitted).copy()).clamp(0, 1)


def to_pictures(images: Tensor) -> list[Image.Image]:
    """B x 3 x H x W in [-1, 1] as B RGB images."""
    arrays = ((images.float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(array) for array in arrays]


def read_picture(path: Path) -> Image.Image:
    """Reads a picture wholly as RGB, turned as its camera says; transparent parts show white.

    Raises:
        ValueError: the file is missing, no picture, cut short, or of a mode without a known white.
    """
    picture = open_picture(path)
    try:
        return to_rgb(picture)
    except ValueError as error:
        raise ValueError(f"{error} ({path})") from error


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture in RGB; transparent parts show white, greys of 16 bits are scaled.

    Raises:
        ValueError: the picture's mode has no known white.
    """
    if picture.mode in ("F", "I") or picture.mode.startswith("I;16"):
        return _eight_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Greys of more than 8 bits as 8 bits. Pillow's own conversion shows all above 255 as white.

    The mode I has 32 bits, and holds greys of 8 bits or of 16: of 8, where none is above 255.
    """
    values = np.asarray(picture).astype(np.float32)
    low, high = values.min(initial=0), values.max(initial=0)
    if picture.mode == "F" or low < 0 or high > 65535:
        raise ValueError(
            f"image: mode {picture.mode} with values from {low:g} to {high:g}; allowed: 8 or 16 bits a channel"
        )
    white = 255 if picture.mode == "I" and high <= 255 else 65535
    if (clear := picture.info.get("transparency")) is not None:
        values[values == clear] = white
    return Image.fromarray((values * (255 / white)).round().astype(np.uint8))


def open_picture(path: Path) -> Image.Image:
    """Reads a picture wholly in the mode it has, turned as its camera says.

    Raises:
        ValueError: the file is missing, no picture, or cut short.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            return ImageOps.exif_transpose(opened)
    except FileNotFoundError:
        raise ValueError(f"image: {path} does not exist") from None
    except UnidentifiedImageError:
        raise ValueError(f"image: {path} is not a picture; allowed: {', '.join(FORMATS)}") from None
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(f"image: {path} cannot be decoded ({error})") from error


def find_pictures(*paths: Path) -> list[Path]:
    """The paths themselves, or of a folder the pictures in it, in order of their names.

    Raises:
        ValueError: there is no such path, or no picture in the folder.
    """
    return [file for path in paths for file in _pictures_at(path)]


def _pictures_at(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise ValueError(f"image: {path} does not exist")
        if not path.is_file():  # reading a pipe would wait for ever
            raise ValueError(f"image: {path} is no file; allowed: {', '.join(FORMATS)}, or a folder")
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS)
    if not found:
        raise ValueError(f"image: the folder {path} holds no pictures ({', '.join(FORMATS)})")
    return found
