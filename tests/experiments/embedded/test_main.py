"""A smoke training of a minute, killed in the middle and resumed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from experiments.embedded import shipped
from experiments.embedded.__main__ import main
from tests.processes import Child

FOLDERS = shipped.FOLDERS["scenes"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training")]


def _train(folder: Path, stage: str) -> int:
    return main([stage, "--smoke", "--workdir", str(folder / "work"), "--output", str(folder / "out")])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All training stages, the first run killed while it trains the codec."""
    folder = tmp_path_factory.mktemp("smoke")
    first = Child(_train, folder, "codec")
    deadline = time.monotonic() + 120
    while not (folder / "work" / "scenes.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    for stage in ("codec", "unet", "judges"):
        assert _train(folder, stage) == 0
    return folder


def test_every_stage_ships_its_model(trained: Path) -> None:
    for folder in FOLDERS.values():
        assert list((trained / "out" / folder).rglob("*.safetensors"))
        history = json.loads((trained / "out" / folder / "training.json").read_text())
        assert all(part["steps"] == 2 for part in history.values())


def test_pipeline_of_a_fresh_training_generates(trained: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(trained / "out" / FOLDERS["generator"])
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a red star", num_inference_steps=2).images[0]
    assert image.size == (64, 64)


def test_training_again_changes_nothing(trained: Path) -> None:
    weights = trained / "out" / FOLDERS["classifier"] / "diffusion_pytorch_model.safetensors"
    before = weights.read_bytes()
    assert _train(trained, "judges") == 0
    assert weights.read_bytes() == before


def test_going_on_from_what_is_shipped_trains_the_phases_that_it_lacks(trained: Path, tmp_path: Path) -> None:
    generator = trained / "out" / FOLDERS["generator"]
    weights, history = generator / "unet" / "diffusion_pytorch_model.safetensors", generator / "training.json"
    before, known = weights.read_bytes(), json.loads(history.read_text())
    command = ["unet", "--smoke", "--from-shipped", "--output", str(trained / "out"), "--workdir"]
    assert main([*command, str(tmp_path / "first")]) == 0
    assert weights.read_bytes() == before

    history.write_text(json.dumps({part: how for part, how in known.items() if part != "unet_layout"}))
    assert main([*command, str(tmp_path / "second")]) == 0
    assert weights.read_bytes() != before
    assert json.loads(history.read_text()).keys() == known.keys()
    assert not (tmp_path / "second" / "unet_shapes").exists()


def test_going_on_from_nothing_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--smoke", "--workdir", str(tmp_path / "work"), "--output", str(tmp_path / "out")]
    assert main(["unet", "--from-shipped", *where]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no trained generator in")
    assert error.count("\n") == 1


def test_untrained_models_fall_short_of_the_gates(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--smoke", "--workdir", str(trained / "work"), "--output", str(trained / "out")]
    assert main(["evaluate", "--cards", *where]) == 1
    printed = capsys.readouterr().out
    for number in range(1, 10):
        assert f"Gate {number}:" in printed
    assert "FALLS SHORT" in printed
    for folder in FOLDERS.values():
        card = (trained / "out" / folder / "README.md").read_text()
        assert "python -m experiments.embedded all" in card
        assert (trained / "out" / folder / "samples.png").stat().st_size > 1000


def test_unet_without_codec_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--smoke", "--workdir", str(tmp_path / "work"), "--output", str(tmp_path / "out")]
    assert main(["unet", *where]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no trained codec in")
    assert error.count("\n") == 1


def test_emoji_without_npm_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["emoji", "--workdir", str(tmp_path / "work"), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "npm pack unicode-emoji-json@0.9.0 --pack-destination" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["preference"], ["codec", "--smoke"]])
def test_what_the_emoji_world_lacks_is_one_clear_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--world", "emoji", "--workdir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: world: emoji has no preference judge")
    assert error.count("\n") == 1


def test_evaluating_nothing_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no trained generator in")
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["evaluate", "--gate", "10"]])
def test_bad_arguments_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
