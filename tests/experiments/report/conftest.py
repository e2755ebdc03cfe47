"""A run of the embedded model, as small as can be, with its comparison and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.commands.report import report
from experiments.comparison.compare import compare
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.report.findings import read_findings
from experiments.run.optimize import optimize
from experiments.run.plan import Plan


@pytest.fixture(scope="package")
def hostile() -> str:
    return "<script>alert('x')</script> & a \"red\" $star$ " + "very " * 60 + "bright"


@pytest.fixture(scope="package")
def config_of(hostile: str) -> Callable[..., RunConfig]:
    """The configuration of a small run in a folder, with changes."""

    def config(folder: Path, **changes: object) -> RunConfig:
        values = {
            "prompts": [hostile, "a blue ring at dusk"],
            "objective": "clip-prompt",
            "protocol": {"rounds": 2, "images": 2, "steps": 2, "batch": 8, "size": [32, 32]},
            "space": {"strength": [0.05, 8, "log"], "guidance_scale": [1.5, 8]},
            "fixed": {"outer": 1},
            "trials": 6,
            "output": str(folder),
        }
        return check_config({**values, **changes})

    return config


@pytest.fixture(scope="package")
def folder(config_of: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its comparison and its report."""
    folder = tmp_path_factory.mktemp("runs") / "one <b> & 'two'"
    done = optimize(Plan.of(config_of(folder)))
    compare(done.plan, {"tuned": done.recommended()[1]}, folder, done.best_known())
    report(read_findings(folder), folder / "report.html")
    return folder
