"""What is written for other engines is well-formed, and its commands are ours."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from experiments.cli import _parser

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "examples" / "cluster"


def _accepts(*arguments: str) -> None:
    _parser(list(arguments)).parse_args(arguments)


def test_services_of_compose() -> None:
    services = yaml.safe_load((CLUSTER / "compose.yaml").read_text())["services"]
    assert set(services) == {"database", "begin", "worker"}
    for name in ("begin", "worker"):
        _accepts(*map(str, services[name]["command"]))
        assert services[name]["environment"]["FABRIC_BO_STORAGE"].startswith("postgresql://")


def test_the_job_of_kubernetes() -> None:
    job = yaml.safe_load((CLUSTER / "kubernetes.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    _accepts(*container["args"])
    assert job["spec"]["parallelism"] == job["spec"]["completions"]


def test_the_array_of_slurm() -> None:
    script = CLUSTER / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    last = script.read_text().strip().splitlines()[-1]
    words = shlex.split(re.sub(r'"\$\{?\w+[^"]*"', "stars", last))
    assert words[:2] == ["exec", "fabric-bo"]
    _accepts(*words[2:])


def test_the_image_has_all_packages_and_its_extras_exist() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert copied == {"fabric", "objectives", "optimizer", "experiments"}
    extras = re.search(r"\.\[([\w,]+)\]", text)
    assert extras
    declared = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in declared for extra in extras[1].split(","))


@pytest.mark.parametrize(
    "line", re.findall(r"^fabric-bo ([^#\n]*)", (ROOT / "docs/many-machines.md").read_text(), re.M)
)
def test_commands_of_the_page(line: str) -> None:
    _accepts(*shlex.split(line))
