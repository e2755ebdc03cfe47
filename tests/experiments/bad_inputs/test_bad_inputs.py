"""Whatever is wrong is said in one line that names it, with exit code 2, soon, and nothing is left behind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from experiments.cli import main
from tests.experiments.bad_inputs.tables import (
    FIELDS,
    KINDS_OF_NO_PICTURE,
    LINES,
    PICTURE_OPTIONS,
    RUN_COMMANDS,
    YAML_TEXTS,
    picture_files,
)
from tests.experiments.run.tiny import TINY

# What else a field's message may name: what is wrong within it.
_NAMES = {
    "constraints": ("constraints", "objective: "),
    "model.name": ("model", "weights"),
    "model.loras": ("loras", "lora"),
    "fixed": ("fixed", "start: "),
    "library": ("library", "picture", "image", "nowhere"),
}
_SECONDS = 20.0  # on a machine that does something else as well


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with one good picture; it holds the same afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FABRIC_BO_STORAGE", raising=False)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "good.png")
    return tmp_path


def _files(folder: Path) -> set[str]:
    """All but what SQLite keeps beside a database that is open."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {name for name in found if not name.endswith(("-wal", "-shm"))}


def _refused(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command is refused with."""
    before, began = _files(folder), time.monotonic()
    try:
        code = main(["--quiet", *arguments] if arguments else arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    assert time.monotonic() - began < _SECONDS
    said = capsys.readouterr()
    assert code == 2, said
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("error: "), lines[0]
    assert "Traceback" not in said.err
    assert len(lines[0]) < 900
    assert _files(folder) == before
    return lines[0]


def _at(place: str, value: Any) -> dict[str, Any]:
    values = yaml.safe_load(yaml.safe_dump(TINY)) | {"output": "run"}
    *parts, last = place.split(".")
    part = values
    for name in parts:
        part = part.setdefault(name, {})
    part[last] = value
    return values


@pytest.mark.parametrize(
    ("place", "value"), [(place, value) for place, values in FIELDS.items() for value in values], ids=repr
)
def test_fields_of_a_configuration(place: str, value: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run.yaml").write_text(yaml.safe_dump(_at(place, value)))
    line = _refused(["optimize", "run.yaml"], folder, capsys)
    assert any(name in line for name in _NAMES.get(place, (place.split(".")[-1],))), line


@pytest.mark.parametrize("kind", YAML_TEXTS)
def test_files_that_are_no_configuration(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file.yaml").write_bytes(YAML_TEXTS[kind])
    assert "file.yaml" in _refused(["optimize", "file.yaml"], folder, capsys)
    assert "file.yaml" in _refused(["personalise", "file.yaml"], folder, capsys)


@pytest.mark.parametrize("kind", [kind for kind in YAML_TEXTS if kind != "empty"])
def test_files_that_are_no_settings(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file.yaml").write_bytes(YAML_TEXTS[kind])
    _refused(["generate", "a star", "--params", "file.yaml"], folder, capsys)


@pytest.mark.parametrize("command", RUN_COMMANDS)
@pytest.mark.parametrize("kind", YAML_TEXTS)
def test_folders_that_are_no_run(kind: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "config.yaml").write_bytes(YAML_TEXTS[kind])
    assert "run" in _refused([command, "run"], folder, capsys)


@pytest.mark.parametrize("command", RUN_COMMANDS)
@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(84)])
def test_studies_that_are_none(content: bytes, command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "config.yaml").write_text(yaml.safe_dump({**TINY, "output": "run"}))
    (folder / "run" / "study.db").write_bytes(content)
    _refused([command, "run"], folder, capsys)


@pytest.mark.parametrize("command", PICTURE_OPTIONS)
@pytest.mark.parametrize("kind", KINDS_OF_NO_PICTURE)
def test_files_that_are_no_pictures(kind: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = dict(picture_files(folder))[kind]
    line = _refused(PICTURE_OPTIONS[command](path), folder, capsys)
    assert path.name in line, line


_WORDS = [[*([command] if command else []), *line] for command, lines in LINES.items() for line in lines]


@pytest.mark.parametrize("arguments", _WORDS, ids=" ".join)
def test_words_after_a_command(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(arguments, folder, capsys)


def test_there_are_as_many_as_are_asked_for() -> None:
    """Issue by issue the tables grow; they do not shrink."""
    fields = sum(map(len, FIELDS.values()))
    runs = len(RUN_COMMANDS) * (len(YAML_TEXTS) + 3)
    files = 3 * len(YAML_TEXTS) - 1 + runs + len(PICTURE_OPTIONS) * len(KINDS_OF_NO_PICTURE)
    assert fields + files + sum(map(len, LINES.values())) >= 400
