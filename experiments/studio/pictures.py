"""The pictures of a session's folder, each under a name by its content."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cachetools import LRUCache
from PIL.Image import Image

from experiments.files.pictures import save_png
from fabric.images import FeedbackImage, read_picture

FOLDER = "artifacts"
MEMORY = 256 * 2**20  # bytes of pixels that are kept
_ID = re.compile(r"[0-9a-f]{16}")


class PictureStore:
    """Pictures that were shown or uploaded, as PNG files. Any number of threads and processes may read and add.

    Args:
        folder: of the session.
        memory: bytes of pixels that are kept in memory, those of the pictures that were read the latest.
    """

    def __init__(self, folder: Path, memory: int = MEMORY) -> None:
        self.folder = folder / FOLDER
        self._kept: LRUCache[str, Image] = LRUCache(memory, getsizeof=_size)
        self._lock = threading.Lock()

    def path(self, image: str) -> Path:
        """The file of an image.

        Raises:
            ValueError: that is no id, or there is no such image.
        """
        path = self._place(image)
        if not path.exists():
            raise ValueError(f"image: {image!r} is unknown; allowed: images of this session")
        return path

    def has(self, image: str) -> bool:
        """Whether an image is there; its file may have been lost.

        Raises:
            ValueError: that is no id.
        """
        return self._place(image).exists()

    def read(self, image: str) -> Image:
        """An image in RGB.

        Raises:
            ValueError: that is no id, there is no such image, or its file is damaged.
        """
        with self._lock:
            if image in self._kept:
                return self._kept[image]
        picture = read_picture(self.path(image))
        with self._lock, contextlib.suppress(ValueError):  # larger than all that is kept
            self._kept[image] = picture
        return picture

    def add(self, picture: Image, texts: Mapping[str, str] = MappingProxyType({})) -> str:
        """Keeps a picture.

        Args:
            picture: of any mode.
            texts: how it was made; see `files.pictures.metadata`. Without them a picture that is there is left as it
                is: it may say how it was made.

        Returns:
            Its id.
        """
        image = FeedbackImage(picture).id
        path = self._place(image)
        if texts or not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            save_png(picture.convert("RGB"), path, texts)
        return image

    def _place(self, image: str) -> Path:
        """Where an image is, whether or not it is there."""
        if not _ID.fullmatch(image):
            raise ValueError(f"image: {image!r} is no name of an image; allowed: 16 hexadecimal digits")
        return self.folder / f"{image}.png"


def _size(picture: Image) -> int:
    """Bytes of an RGB picture in memory, about: Pillow uses four for three."""
    return 4 * picture.width * picture.height
