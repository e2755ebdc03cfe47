from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fabric.images import to_rgb as fabric_to_rgb
from objectives.pictures import content_key, to_rgb
from objectives.testing import sample_images


def test_transparent_parts_show_white() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 255, 0))
    assert [to_rgb(image).getpixel((x, 0)) for x in range(2)] == [(255, 0, 0), (255, 255, 255)]
    palette = Image.new("P", (1, 1), 3)
    palette.info["transparency"] = 3
    assert to_rgb(palette).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_are_scaled_and_not_cut(mode: str) -> None:
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    image = Image.fromarray(values if mode == "I;16" else values.astype(np.int32))
    assert image.mode == mode
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("values", [np.array([[0, 0.5]], np.float32), np.array([[0, 70000]], np.int32)])
def test_modes_without_a_known_white_are_named(values: np.ndarray) -> None:
    image = Image.fromarray(values)
    with pytest.raises(ValueError, match=rf"^image: mode {image.mode} with values from 0 to .*; allowed: 8 or 16 bits"):
        to_rgb(image)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "RGB"])
def test_other_modes_are_as_pillow_shows_them(mode: str) -> None:
    image = sample_images(1)[0].convert(mode)
    assert to_rgb(image).tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I", "I;16"])
def test_the_generator_sees_the_same_picture(mode: str) -> None:
    """Neither package may import the other, so each has the conversion; they must not grow apart."""
    image = sample_images(1)[0].convert("L").convert(mode)
    assert to_rgb(image).tobytes() == fabric_to_rgb(image).tobytes()


def test_keys_are_by_content() -> None:
    first, second = sample_images(2)
    assert content_key(first) == content_key(first.copy())
    assert content_key(first) == content_key(first.convert("RGBA"))
    assert content_key(first) != content_key(second)
    assert content_key(Image.new("RGB", (2, 3))) != content_key(Image.new("RGB", (3, 2)))
