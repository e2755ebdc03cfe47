"""The emoji sets: archives of the registry's form with pictures made here."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments.embedded.world.emoji import art
from experiments.embedded.world.emoji.art import NAMES, SETS, Package, fetch, read_art
from experiments.embedded.world.emoji.concepts import CONCEPTS

HEART = "\u2764\ufe0f"  # with a variation selector, which file names have or lack


def _text_of(place: int) -> str:
    return HEART if place == 0 else chr(0x1F400 + place)


def _picture(place: int, form: str) -> bytes:
    """A square of a colour of its own, its rim transparent."""
    picture = Image.new("RGBA", (72, 72), (0, 255, 0, 0))
    picture.paste((place, 255 - place, 7, 255), (18, 18, 54, 54))
    content = io.BytesIO()
    picture.save(content, form, lossless=True) if form == "WEBP" else picture.save(content, form)
    return content.getvalue()


def _pack(path: Path, files: dict[str, bytes]) -> str:
    """Writes an archive; its checksum as the registry states it."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def _files(hand: str) -> dict[str, bytes]:
    names = list(CONCEPTS)
    if hand in ("flat", "blob"):
        drawings = {
            name.lower().replace(" ", "-"): {"body": f'<rect x="8" y="8" width="16" height="16" fill="rgb({k},9,9)"/>'}
            for k, name in enumerate(names)
        }
        return {"icons.json": json.dumps({"width": 32, "height": 32, "icons": drawings}).encode()}
    pattern = {"noto": "img/google/64/{}.png", "twemoji": "img/twitter/64/{}.png", "glossy": "assets/{}.webp"}[hand]
    keeps = hand == "noto"
    codes = ["-".join(f"{ord(c):04x}" for c in _text_of(k) if keeps or c != "\ufe0f") for k in range(len(names))]
    form = "WEBP" if hand == "glossy" else "PNG"
    return {pattern.format(code): _picture(k, form) for k, code in enumerate(codes)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    for hand, package in SETS.items():
        _pack(folder / package.archive, _files(hand))
    about = {_text_of(k): {"name": name, "slug": name.lower().replace(" ", "_")} for k, name in enumerate(CONCEPTS)}
    _pack(folder / NAMES.archive, {"data-by-emoji.json": json.dumps(about).encode()})
    return folder


def test_every_hand_draws_every_concept(folder: Path) -> None:
    drawn = read_art(folder)
    assert drawn.shape == (len(CONCEPTS), len(SETS), 4, 64, 64)
    assert drawn.dtype == torch.uint8
    middle = drawn[:, :, :, 32, 32].int()
    places = torch.arange(len(CONCEPTS))
    for column, hand in enumerate(SETS):
        assert (middle[:, column, 0] - places).abs().max() <= 1, hand
        assert (middle[:, column, 3] == 255).all(), hand
        assert (drawn[:, column, 3, 0, 0] == 0).all(), hand


def test_what_is_transparent_does_not_colour_the_rim(folder: Path) -> None:
    drawn = read_art(folder)[3, 0].int()  # green where it is transparent
    seen = drawn[:, drawn[3] > 16]
    assert (seen[1] - (255 - 3)).abs().max() <= 8


def test_an_archive_that_is_another_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"unicode-emoji-json-0.9.0.tgz: not unicode-emoji-json 0.9.0 as published"):
        fetch(folder)


def test_what_is_missing_is_named_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no npm .* npm pack unicode-emoji-json@0.9.0 --pack-destination"):
        fetch(tmp_path / "sets")


def test_npm_brings_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for npm packs whatever it is asked for; one that packs nothing is reported with its last line."""
    wanted = tmp_path / "wanted.tgz"
    digest = _pack(wanted, {"a.json": b"{}"})
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n/bin/cp {wanted} $5/a-b-1.0.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    package = Package("@a/b", "1.0", digest, "MIT", "nobody")
    monkeypatch.setattr(art, "SETS", {})
    monkeypatch.setattr(art, "NAMES", package)
    fetch(tmp_path / "sets")
    assert (tmp_path / "sets" / "a-b-1.0.tgz").read_bytes() == wanted.read_bytes()
    npm.write_text("#!/bin/sh\necho first >&2\necho no such package >&2\nexit 1\n")
    monkeypatch.setattr(art, "NAMES", replace(package, version="2.0"))
    with pytest.raises(FileNotFoundError, match=r"could not bring @a/b@2.0 \(no such package\): install npm, or"):
        fetch(tmp_path / "sets")
