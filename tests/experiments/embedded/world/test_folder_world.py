from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageColor

from experiments.embedded.world.folder import FolderWorld, folder_world
from experiments.embedded.world.world import Scenes
from fabric.seeding import generator_for

COLOURS = ("red", "green", "blue", "yellow", "white", "black", "purple", "orange")


def _fill(folder: Path, count: int = 8) -> list[Path]:
    paths = [folder / f"{k}.png" for k in range(count)]
    for k, path in enumerate(paths):
        Image.new("RGB", (90, 60), COLOURS[k]).save(path)
    return paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k, path in enumerate(_fill(tmp_path)):
        path.with_suffix(".txt").write_text(f"a {COLOURS[k]}\n  wall ")
    return tmp_path


def _scene(world: FolderWorld, picture: int, jitter: float) -> Scenes:
    return Scenes(world, torch.tensor([[picture]]), torch.full((1, world.jitter), jitter))


def test_a_scene_is_a_picture_with_its_caption(folder: Path) -> None:
    world = folder_world(folder)
    scenes = world.sample(20, generator_for("folder"))
    pictures = world.render(scenes)
    assert pictures.shape == (20, 3, 64, 64)
    for k, picture in enumerate(scenes.column("picture").tolist()):
        colour = torch.tensor(ImageColor.getrgb(COLOURS[picture])) / 255
        torch.testing.assert_close(pictures[k].mean((1, 2)), colour, rtol=0, atol=1e-3)
        assert world.captions(scenes[k : k + 1], world.full_prompt) == [f"a {COLOURS[picture]} wall"]
    assert world.captions(scenes[:1], ()) == [""]
    assert {"a", "wall", *COLOURS} == world.words


def test_jitter_crops_a_picture_differently_and_leaves_its_middle() -> None:
    pixels = torch.zeros(8, 3, 64, 64, dtype=torch.uint8)
    pixels[:, :, 20:44, 20:44] = 255
    world = FolderWorld(COLOURS, pixels)
    plain, zoomed = (world.render(_scene(world, 0, jitter))[0] for jitter in (0.5, 1.0))
    assert not torch.equal(plain, zoomed)
    assert zoomed.sum() > plain.sum()
    for picture in (plain, zoomed):
        assert picture[:, 28:36, 28:36].min() == 1


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_captions_of_a_metadata_file(tmp_path: Path, name: str) -> None:
    rows = [{"file_name": path.name, "text": f"a {COLOURS[k]} wall, tall"} for k, path in enumerate(_fill(tmp_path))]
    lines = [json.dumps(row) for row in rows]
    if name.endswith("csv"):
        lines = ["file_name,text", *(f'{row["file_name"]},"{row["text"]}"' for row in rows)]
    (tmp_path / name).write_text("\n".join(lines))
    world = folder_world(tmp_path)
    assert world.captions(_scene(world, 2, 0.5), world.full_prompt) == ["a blue wall, tall"]


def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"folder: .*/none is no folder"):
        folder_world(tmp_path / "none")
    _fill(tmp_path, 3)
    with pytest.raises(ValueError, match=r"has 3 pictures; allowed: 8 or more"):
        folder_world(tmp_path)
    paths = _fill(tmp_path)
    with pytest.raises(ValueError, match=r"0\.png has no caption; allowed: 0\.txt beside it"):
        folder_world(tmp_path)
    (tmp_path / "metadata.jsonl").write_text("{}")
    with pytest.raises(ValueError, match=r"metadata\.jsonl cannot be read \(KeyError\('file_name'\)\)"):
        folder_world(tmp_path)
    (tmp_path / "metadata.jsonl").unlink()
    for path in paths:
        path.with_suffix(".txt").write_text("a wall")
    paths[4].write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"4\.png is not a picture"):
        folder_world(tmp_path)
