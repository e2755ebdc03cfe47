"""Pages in one file: templates whose texts are escaped, and pictures as data addresses that need no file beside."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

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
            return data_uri(file.getvalue(), "image/png")
        smaller = image.copy()
        smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
        smaller.save(file, format="JPEG", quality=86)
        return data_uri(file.getvalue(), "image/jpeg")


def data_uri(content: bytes, kind: str) -> str:
    """A file's bytes as an address that needs no file.

    Args:
        content: of the file.
        kind: of it, as in `image/png`.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def address(folder: Path, file: Path | None) -> str:
    """Of a file, as seen from a page in a folder; nothing for no file, or one on another drive."""
    try:
        return "" if file is None else quote(Path(os.path.relpath(file, folder)).as_posix())
    except ValueError:
        return ""


def script_source(script: str) -> str:
    """A script of exactly this text, as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content_policy(scripts: Sequence[str]) -> str:
    """What a page may load and run: its own pictures, and scripts of exactly these texts, whatever else it holds."""
    allowed = " ".join(map(script_source, scripts)) or "'none'"
    return (
        f"default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
