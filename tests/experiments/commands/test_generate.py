"""The command `fabric-bo generate` on the embedded model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from experiments.cli import main
from experiments.commands import generate
from experiments.files.pictures import read_facts
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams


def _run(tmp_path: Path, *arguments: str) -> int:
    return main(["generate", "--steps", "2", "--output", str(tmp_path / "out"), *arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "liked"
    folder.mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (80, 64), name).save(folder / f"{name}.png")
    return folder


def test_images_carry_what_made_them(tmp_path: Path, pictures: Path) -> None:
    knobs = ["--preset", "official", "--strength", "2", "--weights", "red=0.4", "--guidance-scale", "4"]
    images = ["--num-images", "2", "--batch", "3", "--seed", "7", "--liked", str(pictures)]
    assert _run(tmp_path, "a red star at night", "a blue ring", "--negative-prompt", "dusk", *knobs, *images) == 0
    files = sorted((tmp_path / "out").glob("*.png"))
    assert (tmp_path / "out" / "sheets" / "0000.png").exists()
    assert [path.name for path in files] == ["0000-7.png", "0001-8.png", "0002-7.png", "0003-8.png"]
    with Image.open(files[1]) as image:
        facts, shown = json.loads(image.text["fabric"]), image.text["parameters"]  # type: ignore[attr-defined]
    red = FeedbackImage(Image.open(pictures / "red.png")).id
    params = FabricParams.from_dict(facts["params"])
    assert (params.strength, params.floor, params.guidance_scale, params.weights) == (2, 0.1, 4, {red: 0.4})
    assert (facts["seed"], facts["steps"], facts["model"], facts["size"]) == (8, 2, "embedded", [64, 64])
    assert shown.splitlines()[:2] == ["a red star at night", "Negative prompt: dusk"]
    assert "Steps: 2, Sampler: euler-a, CFG scale: 4, Seed: 8, Size: 64x64, Model: embedded" in shown


def test_a_second_run_keeps_the_first_ones_pictures(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        assert _run(tmp_path, "a red star", "--seed", seed) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0000-1.png", "0001-2.png"]


def test_a_run_meanwhile_in_the_same_folder_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def after_another_run(images: Tensor) -> list[Image.Image]:
        monkeypatch.undo()
        assert _run(tmp_path, "a blue ring", "--num-images", "2") == 0
        return to_pictures(images)

    monkeypatch.setattr(generate, "to_pictures", after_another_run)
    assert _run(tmp_path, "a red star", "--num-images", "2") == 0
    prompts = {path.name: (read_facts(path) or {})["prompt"] for path in (tmp_path / "out").glob("*.png")}
    assert prompts == {
        "0000-0.png": "a blue ring",
        "0001-1.png": "a blue ring",
        "0002-0.png": "a red star",
        "0003-1.png": "a red star",
    }
    assert sorted(path.name for path in (tmp_path / "out" / "sheets").iterdir()) == ["0000.png", "0002.png"]


def test_a_sheet_is_kept_where_its_pictures_were_moved_away(tmp_path: Path) -> None:
    assert _run(tmp_path, "a red star", "--num-images", "2") == 0
    sheet = (tmp_path / "out" / "sheets" / "0000.png").read_bytes()
    for path in (tmp_path / "out").glob("*.png"):
        path.rename(tmp_path / path.name)
    assert _run(tmp_path, "a blue ring", "--num-images", "2") == 0
    assert (tmp_path / "out" / "sheets" / "0000.png").read_bytes() == sheet
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["0001-0.png", "0002-1.png"]


def test_parameters_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(FabricParams(strength=3, end=0.5).to_yaml())
    assert _run(tmp_path, "a red star", "--params", str(tmp_path / "best.yaml"), "--size", "48x32") == 0
    with Image.open(tmp_path / "out" / "0000-0.png") as image:
        assert image.size == (48, 32)
        assert json.loads(image.text["fabric"])["params"]["end"] == 0.5  # type: ignore[attr-defined]


def test_image_weights_of_a_file_are_kept(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    red, blue = (FeedbackImage(Image.open(pictures / f"{name}.png")).id for name in ("red", "blue"))
    tuned = FabricParams(strength=2, weights={red: 0.0, blue: 0.5, "of-another-run": 0.3})
    (tmp_path / "best.yaml").write_text(tuned.to_yaml())
    given = ["--liked", str(pictures), "--weights", "blue=0.25", "--timing", "red=-0.5", "blue=1"]
    assert _run(tmp_path, "a red star", "--params", str(tmp_path / "best.yaml"), *given) == 0
    with Image.open(tmp_path / "out" / "0000-0.png") as image:
        facts = json.loads(image.text["fabric"])  # type: ignore[attr-defined]
    assert facts["params"]["weights"] == {red: 0.0, blue: 0.25, "of-another-run": 0.3}
    assert facts["params"]["timing"] == {red: -0.5, blue: 1.0}
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warnings == ["warning: weights: no liked or disliked picture has the id of-another-run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strength", "9"], "strength: 9.0 is out of range; allowed: 0 to 8"),
        (["--start", "0.9", "--end", "0.1"], "start: 0.9 is above end"),
        (["--size", "63x64"], "size: 63x64 is not possible; allowed: multiples of 4"),
        (["--size", "64x1000000"], "size: 64x1000000 is not possible; allowed: multiples of 4 up to 8192"),
        (["--size", "big"], "size: 'big' is not WIDTHxHEIGHT"),
        (["--num-images", "0"], "num_images: 0 is out of range"),
        (["--liked", "{tmp}/missing.png"], "missing.png does not exist"),
        (["--liked", "{tmp}/text.png"], "text.png is not a picture"),
        (["--liked", "{tmp}/empty"], "holds no pictures"),
        (["--liked", "{tmp}/liked", "--weights", "green=0.4"], "'green=0.4' names no image"),
        (["--liked", "{tmp}/liked", "--weights", "red=much"], "does not end in a number"),
        (["--liked", "{tmp}/liked", "--weights", "red=2"], "weights: 'red=2' is out of range; allowed: 0 to 1"),
        (["--liked", "{tmp}/liked", "--timing", "red=2"], "timing: 'red=2' is out of range; allowed: -1 to 1"),
        (["--params", "{tmp}/text.png"], "parameters: 'text' is not a mapping"),
        (["--params", "{tmp}/missing.yaml"], "cannot be read"),
        (["--model", "{tmp}/empty"], "holds no model"),
        (["--model", "nobody/nothing"], "nobody/nothing is no folder here and cannot be had from the hub"),
        (["--device", "tpu"], "device: 'tpu' cannot be used here"),
        (["--output", "{tmp}/text.png"], "text.png"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, pictures: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty").mkdir()
    assert _run(tmp_path, "a red star", *(a.replace("{tmp}", str(tmp_path)) for a in arguments)) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("error: ")
    assert message in err
    assert "\n" not in err
    assert not (tmp_path / "out").exists()


def test_a_long_prompt_is_cut_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, " ".join(["red"] * 30 + ["moon"])) == 0
    assert "the prompt is too long for the text encoder; cut: 'moon'" in capsys.readouterr().err


def test_words_that_the_model_was_never_shown_are_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, "a red starr", "a blue starr") == 0
    said = capsys.readouterr().err
    assert said.count("never shown the words 'starr' (nearest that it knows: star)") == 1
