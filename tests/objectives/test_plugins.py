from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from objectives.base import Context, Objective
from objectives.plugins import FunctionObjective, as_objective, load
from objectives.registry import create
from objectives.testing import ObjectiveContract, sample_images
from tests.processes import Child

MODULE = """
from PIL import ImageStat
from objectives.base import Objective

def brightness(images, prompts):
    return [ImageStat.Stat(image.convert("L")).mean[0] for image in images]

brightness.bounds = (0.0, 255.0)

class Darkness(Objective):
    name = "darkness"

    def __call__(self, images, contexts):
        return [-value for value in brightness(images, [])]

class NeedsArguments(Objective):
    def __init__(self, path): ...
    def __call__(self, images, contexts): ...

class Breaks(Objective):
    def __init__(self): raise RuntimeError("no licence")
    def __call__(self, images, contexts): ...

number = 3
no_prompts = lambda images: [1.0]
"""

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "bright-objectives"
version = "1.0"

[project.entry-points."fabric_bo.objectives"]
brightness = "bright:brightness"
darkness = "bright:Darkness"
broken = "bright:gone"

[tool.setuptools]
py-modules = ["bright"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MODULE)
    return path


def test_a_function_a_class_and_an_object_are_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [Image.new("RGB", (4, 4), colour) for colour in ("black", "white")]
    contexts = [Context(), Context("a star")]
    function = load(f"{file}:brightness")
    assert (function.name, function.bounds) == ("brightness", (0.0, 255.0))
    assert function(images, contexts) == [0, 255]
    monkeypatch.syspath_prepend(str(file.parent))
    assert load("mine:Darkness")(images, contexts) == [0, -255]
    assert as_objective(function, "x") is function
    assert create(f"{file}:Darkness").name == "darkness"


def test_prompts_are_handed_over() -> None:
    def count(images: list[Image.Image], prompts: list[str]) -> list[float]:
        return [float(len(prompt)) for prompt in prompts]

    assert FunctionObjective(count)(sample_images(2), [Context("four"), Context()]) == [4, 0]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{file}:gone", "has no 'gone'"),
        ("{file}:number", "is a int; allowed: an Objective or f"),
        ("{file}:no_prompts", "is a function; allowed: an Objective or f"),
        ("{file}:NeedsArguments", "cannot be made without arguments"),
        ("{folder}/nowhere.py:x", "cannot be imported .FileNotFoundError"),
        ("{folder}/broken.py:x", "cannot be imported .ZeroDivisionError"),
        ("{folder}/exits.py:x", "cannot be imported .SystemExit"),
        ("{file}:Breaks", "cannot be made without arguments .RuntimeError"),
        ("no.such.module:x", "cannot be imported .ModuleNotFoundError"),
        ("{file}:", "allowed: module:attribute or file.py:attribute"),
    ],
)
def test_what_cannot_be_had_is_named(file: Path, reference: str, message: str) -> None:
    (file.parent / "broken.py").write_text("1 / 0")
    (file.parent / "exits.py").write_text("raise SystemExit(3)")
    with pytest.raises(ValueError, match=message):
        create(reference.format(file=file, folder=file.parent))


def _with_site(site: str, *arguments: str) -> int:
    from experiments.cli import main  # of the child: this folder's other tests know no experiments

    sys.path.insert(0, site)
    return main(list(arguments))


@pytest.mark.slow
def test_an_installed_package_is_found_and_runs(tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "bright.py").write_text(MODULE)
    (package / "pyproject.toml").write_text(PYPROJECT)
    install = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--target"]
    command = [sys.executable, "-m", "pip", "install", "-q", *install, str(site), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    Image.new("RGB", (4, 4), "white").save(tmp_path / "white.png")

    def run(*arguments: str) -> str:
        child = Child(_with_site, str(site), *arguments)
        assert child.wait() == 0, child.err[-2000:]
        return child.out

    scored = run("score", str(tmp_path / "white.png"), "--objective", "brightness", "darkness")
    assert scored.splitlines()[0].split() == ["image", "brightness", "darkness"]
    assert scored.splitlines()[1].split()[1:] == ["255.0000", "-255.0000"]
    listed = run("objectives")
    assert "brightness        plug-in; needs nothing" in listed
    assert "broken            plug-in that cannot be read (objective: bright has no 'gone')" in listed


class TestFunctionObjective(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _file(self, file: Path) -> None:
        self.file = file

    def make(self) -> Objective:
        return load(f"{self.file}:brightness")
