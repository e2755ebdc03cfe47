"""Pictures as part of a page: data addresses that need no file beside it."""

from __future__ import annotations

import base64
import io

from PIL import Image


def to_uri(image: Image.Image, side: int) -> str:
    """An image as data; made smaller and then JPEG where it is larger than so many pixels."""
    with io.BytesIO() as file:
        if max(image.size) <= side:
            image.save(file, format="PNG", optimize=True)
            return data_uri(file.getvalue(), "png")
        smaller = image.copy()
        smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
        smaller.save(file, format="JPEG", quality=86)
        return data_uri(file.getvalue(), "jpeg")


def data_uri(content: bytes, kind: str) -> str:
    """A picture file's bytes as an address that needs no file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
