from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fabric.images import FeedbackImage, find_pictures, read_picture, to_pictures, to_rgb


def _picture(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8))


def test_an_image_is_known_by_its_content(tmp_path: Path) -> None:
    picture = _picture(20, 10)
    picture.save(tmp_path / "a.png")
    again = FeedbackImage(read_picture(tmp_path / "a.png"), round=3)
    assert again.id == FeedbackImage(picture).id
    assert again.id != FeedbackImage(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).id
    # The same bytes in another form are another picture.
    assert FeedbackImage(Image.new("RGB", (4, 2))).id != FeedbackImage(Image.new("RGB", (2, 4))).id


@pytest.mark.parametrize(("width", "height"), [(128, 64), (64, 128), (64, 64), (33, 90)])
def test_fitting_crops_the_centre_and_never_squashes_or_transposes(width: int, height: int) -> None:
    pixels = FeedbackImage(_picture(width, height)).pixels(32, 48)
    assert pixels.shape == (3, 32, 48)
    red, green = pixels[0].mean(0), pixels[1].mean(1)
    assert (red.diff() > 0).all()
    assert (green.diff() > 0).all()
    assert float(red.mean()) == pytest.approx(0, abs=0.05)  # the centre stays the centre
    assert float(green.mean()) == pytest.approx(0, abs=0.05)
    # A pixel step is the same length in both directions.
    scale = max(48 / width, 32 / height)
    assert float(red.diff().mean()) == pytest.approx(2 / (width * scale), rel=0.1)
    assert float(green.diff().mean()) == pytest.approx(2 / (height * scale), rel=0.1)


def test_a_mask_is_cropped_as_its_picture() -> None:
    mask = torch.zeros(8, 8)
    mask[:, 4:] = 1  # the right half
    fitted = FeedbackImage(_picture(64, 32), mask=mask).fitted_mask(16, 16)
    assert fitted is not None
    assert fitted.shape == (16, 16)
    assert fitted[:, :5].max() == 0
    assert fitted[:, 11:].min() == 1


@pytest.mark.parametrize("mask", [torch.full((2, 2), 1.5), torch.full((2, 2), -0.1), torch.ones(3)])
def test_impossible_masks_are_named(mask: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"mask: .*allowed: height x width, values from 0 to 1"):
        FeedbackImage(_picture(4, 4), mask=mask)


def test_pictures_and_tensors_agree() -> None:
    picture = _picture(16, 16)
    pixels = FeedbackImage(picture).pixels(16, 16)
    assert to_pictures(pixels[None])[0].tobytes() == picture.tobytes()


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    _picture(64, 64).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:90])
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("text.png", "is not a picture"),
        ("cut.png", "cannot be decoded"),
        ("missing.png", "does not exist"),
    ):
        with pytest.raises(ValueError, match=message):
            read_picture(tmp_path / name)
    with pytest.raises(ValueError, match="holds no pictures"):
        find_pictures(tmp_path / "empty")
    with pytest.raises(ValueError, match="does not exist"):
        find_pictures(tmp_path / "nowhere")
    assert [path.name for path in find_pictures(tmp_path)] == ["cut.png", "text.png", "whole.png"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe.png is no file; allowed: .png, "):
        find_pictures(tmp_path / "pipe.png")


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    _picture(30, 20).save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").size == (20, 30)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_greys_of_sixteen_bits_are_scaled_and_not_cut(mode: str, name: str, tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    picture = Image.fromarray(values if mode == "I;16" else values.astype(np.int32))
    assert picture.mode == mode
    if name == "a.png":
        picture = picture.convert("I;16")  # a PNG has no more
    picture.save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert read.mode == "RGB"
    assert np.asarray(read)[0].tolist() == [[grey] * 3 for grey in (0, 0, 1, 1, 128, 255)]
    assert FeedbackImage(picture).id == FeedbackImage(read).id


def test_a_dark_picture_of_sixteen_bits_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 200, dtype=np.uint16)).save(tmp_path / "dark.png")
    assert read_picture(tmp_path / "dark.png").getpixel((0, 0)) == (1, 1, 1)


def test_greys_of_eight_bits_in_a_wide_mode_are_kept() -> None:
    picture = _picture(16, 16).convert("L")
    assert to_rgb(picture.convert("I")).tobytes() == picture.convert("RGB").tobytes()


@pytest.mark.parametrize("clear", [0, 300])
def test_what_is_transparent_among_greys_of_sixteen_bits_shows_white(clear: int, tmp_path: Path) -> None:
    Image.fromarray(np.array([[clear, 25700]], dtype=np.uint16)).save(tmp_path / "a.png", transparency=clear)
    assert np.asarray(read_picture(tmp_path / "a.png"))[0, :, 0].tolist() == [255, 100]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, 0.5]], dtype=np.float32), "mode F with values from 0 to 0.5; allowed: 8 or 16 bits a channel"),
        (np.array([[0, 70000]], dtype=np.int32), "mode I with values from 0 to 70000; allowed"),
        (np.array([[-3, 9]], dtype=np.int32), "mode I with values from -3 to 9; allowed"),
    ],
)
def test_modes_without_a_known_white_are_named(values: np.ndarray, said: str, tmp_path: Path) -> None:
    picture = Image.fromarray(values)
    picture.save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=rf"^image: {said}.*a\.tif"):
        read_picture(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=f"^image: {said}"):
        FeedbackImage(picture)
