"""The command `fabric-bo`: what all commands have in common."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from experiments.cli import main

ROOT = Path(__file__).parents[2]


def test_alone_it_says_what_to_do_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("generate", "optimize", "studio"):
        assert f"  fabric-bo {command}" in out


def test_the_version_names_what_does_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fabric-bo ")
    for name in ("torch", "diffusers", "botorch"):
        assert f"{name} {importlib.metadata.version(name)}" in line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["optimise"], "invalid choice: 'optimise'"),
        (["generate"], "the following arguments are required: PROMPT; see fabric-bo generate --help"),
        (["generate", "x", "--strength", "high"], "argument --strength: invalid float value: 'high'"),
        (["bench"], "the following arguments are required: BENCH"),
        (["studio", "--json"], "unrecognized arguments: --json"),
    ],
)
def test_words_that_are_not_understood_are_one_line(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert named in line


@pytest.mark.parametrize("words", [["--verbose", "report"], ["report", "--verbose"]])
def test_an_error_has_a_traceback_only_where_it_is_asked_for(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*words, str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith(f"error: run: {tmp_path} is no output of a run")


def test_what_nobody_foresaw_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a fault\nof ours")

    monkeypatch.setattr("experiments.commands.report.run", broken)
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "error: ZeroDivisionError: a fault of ours; --verbose shows where\n"


def test_json_is_one_document_whatever_else_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    plug_in = tmp_path / "mine.py"
    plug_in.write_text("print('hello')\ndef loud(images, prompts): return [1.0 for image in images]")
    command = ["score", str(tmp_path / "red.png"), "--objective", f"{plug_in}:loud"]
    assert main([*command, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == [{"image": str(tmp_path / "red.png"), "loud": 1.0}]
    assert "hello" in shown.err
    assert main(command) == 0
    assert "hello" in capsys.readouterr().out


def test_all_results_are_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["objectives", "--json"]) == 0
    listed = {objective["name"]: objective for objective in json.loads(capsys.readouterr().out)}
    assert listed["pickscore"]["needs"] == ["prompt"]
    command = ["generate", "a red star", "--num-images", "2", "--steps", "1", "--output", str(tmp_path), "--json"]
    assert main(command) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["files"] == [str(path) for path in sorted(tmp_path.glob("*.png"))]
    assert Path(written["sheet"]).exists()


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"set -o pipefail; {sys.executable} -m experiments.cli objectives | true"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 141  # as of a program that the signal of a closed pipe ends
    assert done.stderr == ""


def test_no_colour_is_written_where_none_is_wanted() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "xterm-256color"}
    command = f"{sys.executable} -m experiments.cli generate --help"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"], capture_output=True, cwd=ROOT, env=environment, check=True
    )
    assert b"--strength" in done.stdout
    assert b"\x1b[" not in done.stdout
