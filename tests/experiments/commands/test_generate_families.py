"""The command `fabric-bo generate` on tiny transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.cli import main
from tests.fabric.hosts.families import FAMILIES, save
from tests.fabric.hosts.laws import A

_GUIDANCE = dict(zip(FAMILIES, (3.5, 4.0, 4.5, 4.0, 4.5, 7.0), strict=True))


def _run(folder: Path, *arguments: str) -> int:
    options = ["--model", str(folder / "model"), "--steps", "2", "--size", "32x32", "--output", str(folder / "out")]
    return main(["generate", "a red star", *options, "--device", "cpu", *arguments])


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_of_every_family(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(family, tmp_path / "model")
    A.picture.save(tmp_path / "liked.png")
    feedback = ["--liked", str(tmp_path / "liked.png")]
    assert _run(tmp_path, *feedback, "--dry-run") == 0
    assert f"({family}), 2 steps of own" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert _run(tmp_path, *feedback) == 0
    with Image.open(tmp_path / "out" / "0000-0.png") as image:
        facts = json.loads(image.text["fabric"])  # type: ignore[attr-defined]
        assert image.size == (32, 32)
    assert facts["scheduler"] == "own"
    assert facts["params"]["guidance_scale"] == _GUIDANCE[family]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bottleneck", "1"], "bottleneck: given; FLUX.1 has no such knob; allowed: none"),
        (["--negative-prompt", "dusk"], "negative prompt: 'dusk'; FLUX.1 has no unconditional pass; allowed: none"),
        (["--scheduler", "ddim"], "scheduler: 'ddim' is not for FLUX.1, which flow matching trained; allowed: own"),
        (["--layers", "0:9"], "layers: 0:9 of 3; allowed: 0:0 to 0:3, first to last"),
        (["--level", "2"], "level: 2.0 is out of range; allowed: 0 to 1, each"),
        (["--size", "30x32"], "size: 30x32 is not possible; allowed: multiples of 4 up to 8192"),
    ],
)
def test_what_a_family_does_not_have_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save("FLUX.1", tmp_path / "model")
    assert _run(tmp_path, *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
