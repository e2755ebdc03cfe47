"""A model of one's own pictures: forty of them, and a short training."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.embedded.__main__ import main
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.models import load
from fabric.params import FabricParams
from fabric.seeding import generator_for
from objectives.base import Context
from objectives.registry import create


@pytest.mark.slow
def test_a_folder_of_forty_pictures_becomes_a_model_and_its_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = SCENES.sample(40, generator_for("folder"))
    pictures = to_pictures(to_signed(SCENES.render(scenes)))
    captions = SCENES.captions(scenes, SCENES.full_prompt)
    folder, output = tmp_path / "pictures", tmp_path / "model"
    folder.mkdir()
    for k, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        picture.save(folder / f"{k:02}.png")
        (folder / f"{k:02}.txt").write_text(caption)

    assert main(["folder", str(folder), "--output", str(output), "--steps", "20"]) == 0
    assert f"--model {output / 'generator'}" in capsys.readouterr().out
    fabric = FabricGenerator(load(str(output / "generator")))
    request = Request(captions[0], 0, FabricParams(strength=1.0), liked=(FeedbackImage(pictures[1]),))
    (image,) = to_pictures(fabric([request], 2).images)
    assert image.size == (64, 64)
    judge = create("clip-target", f"local-dir:{output / 'clip'}")
    same, other = judge([pictures[0], pictures[1]], [Context(targets=(pictures[0],))] * 2)
    assert same == pytest.approx(1, abs=1e-4)
    assert other < same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder"], "error: DIR: the folder of pictures; allowed: with the stage folder"),
        (["codec", "pictures"], "error: DIR: the folder of pictures; allowed: with the stage folder"),
        (["folder", "no-such-folder"], "error: folder: no-such-folder is no folder"),
        (["folder", "x", "--steps", "0"], "error: steps: 0 is out of range; allowed: 1 or more"),
    ],
)
def test_bad_arguments_are_one_clear_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
