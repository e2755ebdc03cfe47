"""The pages say what is so: commands parse, snippets compile, knobs are those of the registry, the site builds."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli import _parser
from fabric.knobs import KNOBS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _blocks(language: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page.name, found) for page in PAGES for found in pattern.findall(page.read_text())]


def _commands() -> list[tuple[str, str]]:
    lines = [
        (page, line.split("  #")[0].strip())
        for page, block in _blocks("sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [(page, line) for page, line in lines if "fabric-bo " in line]


def test_there_is_something_to_test() -> None:
    assert len(_commands()) > 15
    assert len(_blocks("python")) >= 4


@pytest.mark.parametrize(("page", "command"), _commands())
def test_commands_parse(page: str, command: str) -> None:
    words = shlex.split(command)
    start = next(k for k, word in enumerate(words) if word.endswith("fabric-bo"))
    given = words[start + 1 :]
    _parser(given).parse_args(given)  # exits where the command line is wrong


@pytest.mark.parametrize(("page", "snippet"), _blocks("python"))
def test_snippets_compile(page: str, snippet: str) -> None:
    for node in ast.walk(ast.parse(snippet)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names), f"{page}: {ast.unparse(node)}"


def test_the_page_of_knobs_is_made_from_their_registry() -> None:
    spec = importlib.util.spec_from_file_location("knob_pictures", ROOT / "docs" / "knob_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "knobs.md").read_text() == module.page(), "run python docs/knob_pictures.py"
    assert {path.stem for path in (ROOT / "docs" / "pictures").glob("*.png")} >= {*KNOBS, "feedback"}


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={"NO_MKDOCS_2_WARNING": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "knobs" / "index.html").exists()
