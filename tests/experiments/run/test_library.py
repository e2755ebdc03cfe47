"""A library of pictures: what is near to a prompt, how much it counts, and whole runs with it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.cli import main
from experiments.config.setting import Setting
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from experiments.files.pictures import save_png
from experiments.run.cached_generator import CachedGenerator
from experiments.run.library import for_task, read_library, with_library
from experiments.run.optimize import read_run
from experiments.run.play import play
from experiments.run.protocol import Protocol, Task
from experiments.run.trials import ATTENTION
from fabric.generator import FabricGenerator
from fabric.images import FeedbackImage, to_pictures
from fabric.models import load
from fabric.params import FabricParams
from fabric.seeding import generator_for
from objectives.registry import create
from objectives.shared import SharedModels
from tests.experiments.run.commands import whole_run

PROTOCOL = Protocol(rounds=1, images=2, steps=3, size=(32, 32), batch=4, guidance=4)


def _scenes() -> Scenes:
    return SCENES.sample(12, generator_for("library"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("likes")
    for place, picture in enumerate(to_pictures(to_signed(SCENES.render(_scenes())))):
        save_png(picture, folder / f"{place:02d}.png", {})
    return folder


def test_the_picture_that_a_prompt_describes_is_near(folder: Path) -> None:
    pictures, embedder = read_library([folder], "embedded", "cpu", SharedModels())
    assert len(pictures) == 12
    prompts = SCENES.captions(_scenes(), SCENES.names)
    tasks = with_library([Task(prompt) for prompt in prompts], pictures, embedder, 3)
    places = [
        [image.id for image in task.library].index(pictures[k].id)
        for k, task in enumerate(tasks)
        if pictures[k].id in [image.id for image in task.library]
    ]
    assert len(places) >= 11
    assert np.mean(np.array(places) == 0) > 0.7
    given = with_library([Task(prompts[0], liked=(pictures[0],))], pictures, embedder, 3)[0]
    assert len(given.library) == 3
    assert pictures[0].id not in {image.id for image in given.library}


def test_the_first_so_many_count_and_a_part_of_one_in_part() -> None:
    library = [FeedbackImage(Image.new("RGB", (8, 8), (place, 0, 0))) for place in range(4)]
    task = Task("a star", library=tuple(library))
    weights = for_task(Setting(library_count=2.5, library_weight=0.5), task).weights
    assert list(weights.values()) == [0.5, 0.5, 0.25, 0.0]
    assert list(for_task(Setting(library_count=9.0), task).weights.values()) == [1.0] * 4
    assert for_task(FabricParams(), task).weights == {}
    params = for_task(Setting(library_count=1.0, weights={"other": 0.5}), task)
    assert params.weights == {"other": 0.5, **dict(zip((image.id for image in library), (1.0, 0, 0, 0), strict=True))}
    assert for_task(FabricParams(strength=2), task) == FabricParams(strength=2)


def test_a_library_of_which_nothing_counts_is_as_if_it_were_not_there(folder: Path) -> None:
    pictures, _ = read_library([folder], "embedded", "cpu", SharedModels())
    generator = CachedGenerator(FabricGenerator(load()), PROTOCOL)
    objective = create("clip-prompt", "embedded")
    objective.prepare()
    task = Task("a red star", library=tuple(pictures[:3]))

    def images(task: Task, count: float | None = None, weight: float | None = None) -> list[bytes]:
        setting = Setting(strength=2.0, guidance_scale=4.0, library_count=count, library_weight=weight)
        outcome = play(generator, [(task, setting)], [objective])[0]
        return [picture.tobytes() for picture in outcome.session.rounds[0].pictures]

    without = images(Task("a red star"))
    assert images(task, 0.0) == images(task, 3.0, 0.0) == without
    assert images(task, 2.0) != without
    assert images(task, 3.0) == images(task)


@pytest.mark.slow
@pytest.mark.xdist_group("optimize")
def test_a_run_finds_how_much_of_a_library_counts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = whole_run(
        tmp_path,
        rounds=1,
        prompts=["a red star", "a blue ring"],
        library={"pictures": [str(folder)], "most": 3},
        held_out={"prompts": ["a green moon"]},
        trials=7,
    )
    study = read_run(output).study
    assert {"library_count", "library_weight", "strength"} == study.trials[0].params.keys()
    assert study.trials[0].params["library_count"] == 3  # fixed FABRIC takes them all
    first, second = study.trials[0].user_attrs[ATTENTION]
    assert len(first) == len(second) == 3
    assert first.keys() != second.keys()  # each prompt has pictures of its own
    assert "How many pictures of the library count" in (output / "report.html").read_text()
    params = read_run(output).recommended()[1]
    assert isinstance(params, Setting)
    assert params.library_count is not None
    made = ["generate", "a red star", "--params", str(output / "best.yaml"), "--library", str(folder), "--steps", "2"]
    assert main(["--quiet", *made, "--output", str(tmp_path / "images")]) == 0
    with Image.open(next((tmp_path / "images").glob("*.png"))) as picture:
        facts = json.loads(picture.text["fabric"])  # type: ignore[attr-defined]
    assert len(facts["liked"]) == math.ceil(params.library_count)
    nowhere = f"library.pictures=[{tmp_path / 'nowhere'}]"
    capsys.readouterr()
    other = ["--output", str(tmp_path / "other"), "--set", nowhere]
    assert main(["--quiet", "optimize", str(tmp_path / "run.yaml"), *other]) == 2
    assert "nowhere" in capsys.readouterr().err
