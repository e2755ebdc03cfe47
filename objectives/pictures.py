"""Pictures of any mode as RGB, without silent damage."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image, ImageOps


def to_rgb(image: Image.Image) -> Image.Image:
    """An RGB copy: transparent parts show white, 16-bit greys are scaled (Pillow alone would clip them).

    Args:
        image: of any mode.

    Returns:
        A new image of the same size in mode RGB.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # the mode "I" has 32 bits, but files of 16 bits come as it too
        values = np.asarray(image, dtype=np.float64)
        sixteen_bits = image.mode.startswith("I;16") or values.max(initial=0) > 255
        image = Image.fromarray((values / (257 if sixteen_bits else 1)).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), shown)
    return image.convert("RGB")


def content_key(image: Image.Image) -> str:
    """A name by content."""
    rgb = to_rgb(image)
    return hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()
