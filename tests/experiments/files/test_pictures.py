from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from PIL import Image

from experiments.files.pictures import Recipe, contact_sheet, metadata, save_numbered, save_png
from fabric.generator import Request
from fabric.images import FeedbackImage
from fabric.params import FabricParams


def test_texts_survive_the_file(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "teal")
    liked = FeedbackImage(picture)
    params = FabricParams(strength=2, weights={liked.id: 0.4})
    request = Request("a café ★ at night", 7, params, (liked,), negative_prompt="rain")
    recipe = Recipe(20, "ddim", "owner/model", (("styles/ink.safetensors", 0.7),))
    save_png(picture, tmp_path / "one.png", metadata(request, "café ★ night", picture.size, recipe))
    with Image.open(tmp_path / "one.png") as image:
        texts = image.text  # type: ignore[attr-defined]
    prompt, negative, shown = texts["parameters"].splitlines()
    assert (prompt, negative) == ("café ★ night", "Negative prompt: rain")
    assert shown.startswith(
        "Steps: 20, Sampler: ddim, CFG scale: 7, Seed: 7, Size: 8x8, Model: owner/model, Lora ink: 0.7, "
        "FABRIC strength: 2"
    )
    facts = json.loads(texts["fabric"])
    assert FabricParams.from_dict(facts["params"]) == params
    assert (facts["prompt"], facts["prompt_used"]) == ("a café ★ at night", "café ★ night")
    assert (facts["liked"], facts["disliked"]) == ([liked.id], [])
    assert facts["loras"] == [["styles/ink.safetensors", 0.7]]
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2)])
def test_a_sheet_has_all_pictures_in_order(count: int, columns: int, rows: int) -> None:
    colours = ["red", "green", "blue", "yellow", "teal"][:count]
    sheet = contact_sheet([Image.new("RGB", (20, 10), colour) for colour in colours])
    gap = (sheet.width - 20 * columns) // (columns + 1)
    assert sheet.size == (20 * columns + gap * (columns + 1), 10 * rows + gap * (rows + 1))
    for k, colour in enumerate(colours):
        place = (gap + (k % columns) * (20 + gap) + 10, gap + (k // columns) * (10 + gap) + 5)
        assert sheet.getpixel(place) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))


def test_a_sheet_has_the_columns_asked_for() -> None:
    sheet = contact_sheet([Image.new("RGB", (20, 10))] * 6, columns=3)
    assert sheet.width > 60 > 40 > sheet.height


def test_one_picture_may_be_saved_by_many_at_the_same_time(tmp_path: Path) -> None:
    picture, together = Image.effect_noise((64, 64), 50), Barrier(8)

    def save(_: int) -> None:
        together.wait()
        save_png(picture, tmp_path / "one.png", {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))
    with Image.open(tmp_path / "one.png") as image:
        assert image.tobytes() == picture.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_pictures_saved_at_the_same_time_get_numbers_of_their_own(tmp_path: Path) -> None:
    pictures, together = [Image.new("L", (8, 8), grey) for grey in range(8)], Barrier(8)
    (tmp_path / "0003-5.png").write_text("was here")

    def save(picture: Image.Image) -> Path:
        together.wait()
        return save_numbered(picture, tmp_path, 2, "-5", {})

    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(save, pictures))
    assert sorted(path.name for path in files) == [f"{number:04d}-5.png" for number in (2, *range(4, 11))]
    assert (tmp_path / "0003-5.png").read_text() == "was here"
    for path, picture in zip(files, pictures, strict=True):
        with Image.open(path) as image:
            assert image.tobytes() == picture.tobytes()
