"""The commands `fabric-bo score` and `fabric-bo objectives`, with the embedded judges."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.cli import main
from objectives.base import Context
from objectives.registry import BUILT_IN, create

EMBEDDED = ["--checkpoint", "embedded"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (64, 64), name).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize("form", ["csv", "json"])
def test_scores_are_printed_and_written(
    tmp_path: Path, pictures: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / f"scores.{form}"
    options = [
        "--objective",
        "pickscore",
        "clip-target",
        "--prompt",
        "a red star",
        "--target",
        str(pictures / "red.png"),
    ]
    assert main(["score", str(pictures), *options, *EMBEDDED, "--output", str(output)]) == 0
    heading, *lines = capsys.readouterr().out.strip().splitlines()
    assert heading.split() == ["image", "pickscore", "clip-target"]
    images = [Image.open(pictures / f"{name}.png") for name in ("blue", "red")]
    contexts = [Context("a red star", targets=(images[1],))] * 2
    expected = [create(name, "embedded")(images, contexts) for name in ("pickscore", "clip-target")]
    assert [[float(cell) for cell in line.split()[1:]] for line in lines] == [
        [pytest.approx(value, abs=1e-4) for value in row] for row in zip(*expected, strict=True)
    ]
    with output.open() as file:
        rows = json.load(file) if form == "json" else list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [str(pictures / "blue.png"), str(pictures / "red.png")]
    assert [float(row["clip-target"]) for row in rows] == pytest.approx(expected[1], abs=1e-6)


def test_generated_pictures_know_their_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert main(["generate", "a red star", "a blue ring", "--steps", "1", "--output", str(folder)]) == 0
    files = sorted(folder.glob("*.png"))
    capsys.readouterr()
    # They also know that the embedded model made them.
    assert main(["score", str(folder), "--objective", "pickscore"]) == 0
    found = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[1:]]
    images = [Image.open(file) for file in files]
    expected = create("pickscore", "embedded")(images, [Context("a red star"), Context("a blue ring")])
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_failing_plugin_keeps_the_other_scores(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text("def red(images, prompts): return [1 / image.getpixel((0, 0))[0] for image in images]")
    output = tmp_path / "scores.json"
    assert main(["score", str(pictures), "--objective", f"{plug_in}:red", "--output", str(output)]) == 1
    shown = capsys.readouterr()
    assert f"error: objective red: {pictures / 'blue.png'}: ZeroDivisionError" in shown.err
    assert [line.split()[1] for line in shown.out.splitlines()[1:]] == ["failed", "0.0039"]
    assert [row["red"] for row in json.loads(output.read_text())] == [None, pytest.approx(1 / 255)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "beauty"], "objective: 'beauty' is unknown; allowed: pickscore"),
        (["--objective", "pickscore", *EMBEDDED], "objective: pickscore needs prompt, which the context lacks"),
        (["--objective", "clip-target", *EMBEDDED], "objective: clip-target needs target"),
        (
            ["--objective", "hps", "--prompt", "x"],
            "get it: hf download xswu/HPSv2 HPS_v2.1_compressed.pt; meanwhile:",
        ),
        (["--objective", "pickscore", "--target", "{tmp}/none.png"], "none.png does not exist"),
        (["--objective", "pickscore", "--output", "{tmp}/scores.txt"], "allowed: .csv, .json"),
        (["--objective", "pickscore", "--device", "tpu", "--prompt", "x"], "device: 'tpu'"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, pictures: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(pictures), *(a.replace("{tmp}", str(tmp_path)) for a in arguments)]) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("error: ")
    assert message in err
    assert "\n" not in err


def test_the_list_says_needs_and_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["objectives"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in BUILT_IN)
    assert "needs prompt; higher is better" in out
    assert "yuvalkirstain/PickScore_v1: " in out
