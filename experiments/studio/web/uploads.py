"""Pictures from outside: limited in size, re-encoded, turned upright, without metadata."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from fabric.images import to_rgb

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_SIDE = 2048  # pixels; a reference is scaled to the size that is generated anyway


def read_upload(data: bytes) -> Image.Image:
    """The picture in a file that somebody sent, as plain RGB pixels of at most 2048 a side.

    Its size is read from the header: what is too large is not decoded.

    Args:
        data: the file, PNG, JPEG, WebP or BMP; of several frames the first.

    Raises:
        ValueError: it is too large, no picture, or cut short.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"upload: {len(data) / 2**20:.1f} MB; allowed: up to {MAX_BYTES // 2**20} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            opened = Image.open(io.BytesIO(data), formats=_FORMATS)
        with opened:
            _check_pixels(*opened.size)
            picture = to_rgb(ImageOps.exif_transpose(_scaled(opened)))
    except UnidentifiedImageError:
        raise ValueError(f"upload: not a picture; allowed: {', '.join(_FORMATS)}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"upload: too many pixels; allowed: up to {MAX_PIXELS // 10**6} megapixels") from None
    except (OSError, SyntaxError) as error:
        raise ValueError(f"upload: the picture cannot be decoded ({error})") from error
    return Image.frombytes("RGB", picture.size, picture.tobytes())


def _scaled(picture: Image.Image) -> Image.Image:
    """A picture that was opened, decoded and scaled down at once: what comes after works on few pixels."""
    if picture.mode == "P" and max(picture.size) > _SIDE:  # colours of a palette cannot be averaged
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return picture


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        megapixels = width * height / 1e6
        raise ValueError(f"upload: {megapixels:.0f} megapixels; allowed: up to {MAX_PIXELS // 10**6} megapixels")
