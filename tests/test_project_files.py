"""Files about the project agree with each other: versions, dependencies, hooks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STATED = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("text", STATED)
def test_the_version_that_is_tested_lies_in_the_stated_range(text: str) -> None:
    stated = Requirement(text)
    assert stated.specifier, f"{stated.name} has no lowest version"
    assert _pins()[canonicalize_name(stated.name)] in stated.specifier


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_changelog_begins_with_what_is_unreleased_or_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in ("Unreleased", PROJECT["version"])
    assert len(headings) == len(set(headings))


def test_the_hooks_before_a_commit_are_tools_of_the_development_dependencies() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    tools = {Path(hook["entry"].split()[0]).name for hook in repository["hooks"]}
    assert tools == {"ruff", "mypy"}
    assert tools <= {Requirement(text).name for text in PROJECT["optional-dependencies"]["dev"]}
