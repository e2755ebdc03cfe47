"""Pages in one file: templates whose texts are escaped, and pictures as data addresses that need no file beside."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from PIL import Image


def template(name: str, folders: Sequence[Path]) -> Template:
    """A template of a page; whatever it is given is escaped, and what it lacks is an error.

    Args:
        name: of its file.
        folders: where it is, and what it includes.
    """
    loader = FileSystemLoader(folders)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


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
