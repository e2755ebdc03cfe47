"""`fabric-bo personalise` on the embedded model, as short as can be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from experiments.cli import main

TINY = {
    "scenes": {"count": 2, "board": 3},
    "negatives": 1,
    "steps": 2,
    "validate_every": 1,
    "validation_images": 1,
    "image_steps": 2,
}


@pytest.mark.slow
@pytest.mark.xdist_group("personal")
def test_a_lora_is_trained_and_generates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "personal.yaml"
    config.write_text(yaml.safe_dump(TINY))
    assert main(["personalise", str(config), "--output", str(tmp_path / "mine"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["rewards"]) == ["0", "1", "2"]
    assert found["rewards"][str(found["kept"])] == max(found["rewards"].values())
    assert json.loads((tmp_path / "mine" / "personal.json").read_text()) == found
    made = ["generate", "a red star", "--lora", found["file"], "--steps", "2", "--output", str(tmp_path / "made")]
    assert main(made) == 0


@pytest.mark.slow
@pytest.mark.xdist_group("personal")
def test_pictures_of_ones_own_and_the_whole_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    likes = ["generate", "a red star", "a blue ring", "--steps", "2", "--output", str(tmp_path / "likes")]
    assert main(likes) == 0  # they say what they were made with
    values = {key: value for key, value in TINY.items() if key != "scenes"} | {"rank": 0, "steps": 1}
    values |= {"references": [str(tmp_path / "likes")], "prompts": ["a dot"], "validation": ["a bar"]}
    config = tmp_path / "personal.yaml"
    config.write_text(yaml.safe_dump({**values, "output": str(tmp_path / "mine")}))
    assert main(["personalise", str(config)]) == 0
    assert f"--model {tmp_path / 'mine' / 'model'}" in capsys.readouterr().out
    made = ["generate", "a dot", "--model", str(tmp_path / "mine" / "model"), "--steps", "2"]
    assert main([*made, "--output", str(tmp_path / "made")]) == 0


def test_bad_configurations_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "personal.yaml"
    (tmp_path / "likes").mkdir()
    given = {"references": [str(tmp_path / "likes")], "prompts": ["a dot"], "validation": ["a bar"]}
    for values, message in (
        ({}, "references: none; allowed: "),
        (given, f"image: the folder {tmp_path / 'likes'} holds no pictures"),
        ({"scenes": {"board": 3}, "model": {"name": "some/model"}}, "scenes: some/model knows no world"),
    ):
        config.write_text(yaml.safe_dump(values))
        assert main(["personalise", str(config), "--output", str(tmp_path / "mine")]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {message}")
        assert error.count("\n") == 1
