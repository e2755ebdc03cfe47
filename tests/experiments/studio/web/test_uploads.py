import io
import struct
import zlib

import pytest
from PIL import Image

from experiments.studio.web import uploads
from experiments.studio.web.uploads import MAX_BYTES, read_upload
from fabric.images import to_rgb


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def test_an_upload_is_turned_upright_and_loses_its_metadata() -> None:
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    exif[0x010F] = "maker of the camera"
    read = read_upload(encoded(picture, "JPEG", quality=100, exif=exif))
    assert read.size == (20, 40)
    top = read.getpixel((10, 5))
    assert isinstance(top, tuple)
    assert top[2] > 200
    assert top[0] < 60
    assert not read.getexif()
    assert read.info == {}


def test_transparent_parts_show_white() -> None:
    assert read_upload(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))).getpixel((1, 1)) == (255, 255, 255)


def test_a_large_picture_is_scaled_down() -> None:
    assert read_upload(encoded(Image.new("RGB", (4096, 1024)), "JPEG")).size == (2048, 512)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_pictures_of_any_mode_are_scaled_before_anything_else_is_done(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[tuple[int, int]] = []

    def counted(picture: Image.Image) -> Image.Image:
        converted.append(picture.size)
        return to_rgb(picture)

    monkeypatch.setattr(uploads, "to_rgb", counted)
    assert read_upload(encoded(Image.new(mode, (3000, 1500)))).size == (2048, 1024)
    assert converted == [(2048, 1024)]


def test_a_palette_with_transparency_is_averaged_in_colour() -> None:
    picture = Image.new("P", (4096, 16))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([k % 2 for k in range(4096 * 16)])
    read = read_upload(encoded(picture))
    assert read.size == (2048, 8)
    assert read.getpixel((1000, 4)) == pytest.approx((128, 0, 128), abs=6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (encoded(Image.new("RGB", (9, 9)), "GIF"), "not a picture"),
        pytest.param(b"\0" * (MAX_BYTES + 1), "up to 10 MB", id="11 MB"),
        (png_header(20_000, 10_000), "up to 40 megapixels"),
        (png_header(8_000, 6_000), "48 megapixels; allowed: up to 40"),
        (encoded(Image.effect_noise((64, 64), 50))[:900], "cannot be decoded"),
    ],
)
def test_a_bad_upload_is_refused_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_upload(data)
    assert "\n" not in str(caught.value)
