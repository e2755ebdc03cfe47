"""Pictures of any mode as RGB, without silent damage."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image, ImageOps


def to_rgb(image: Image.Image) -> Image.Image:
    """An RGB copy: transparent parts show white, greys of 16 bits are scaled.

    Args:
        image: of any mode with a known white.

    Returns:
        A new image of the same size in mode RGB.

    Raises:
        ValueError: the image's mode has no known white.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), shown)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Greys of more than 8 bits as 8 bits. Pillow's own conversion shows all above 255 as white.

    The mode I has 32 bits, and holds greys of 8 bits or of 16: of 8, where none is above 255.
    """
    values = np.asarray(image).astype(np.float32)
    low, high = values.min(initial=0), values.max(initial=0)
    if image.mode == "F" or low < 0 or high > 65535:
        raise ValueError(
            f"image: mode {image.mode} with values from {low:g} to {high:g}; allowed: 8 or 16 bits a channel"
        )
    white = 255 if image.mode == "I" and high <= 255 else 65535
    if (clear := image.info.get("transparency")) is not None:
        values[values == clear] = white
    return Image.fromarray((values * (255 / white)).round().astype(np.uint8))


def content_key(image: Image.Image) -> str:
    """A name by content."""
    rgb = to_rgb(image)
    return hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()
