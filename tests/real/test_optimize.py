"""`fabric-bo optimize` with a model and a judge of real size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from tests.real import hub

Command = Callable[..., CompletedProcess[str]]


@pytest.mark.real
def test_two_trials(home: Path, sd15: str, command: Command, pictures: list[Path], tmp_path: Path) -> None:
    hub.save_clip(home)
    liked, target = pictures
    config = {
        "prompts": [{"prompt": "a cat in a hat", "targets": [str(target)], "liked": [str(liked)]}],
        "model": {"name": sd15, "device": "cpu", "offload": True},
        "objective": "clip-target",
        "protocol": {"rounds": 2, "images": 2, "steps": 2, "size": [64, 64]},
        "trials": 2,
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    done = command("optimize", tmp_path / "run.yaml", "--output", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["objective"] == "clip-target"
    assert -2 < found["gain"] < 2
    assert Path(found["file"]) == tmp_path / "run" / "best.yaml"
    assert yaml.safe_load((tmp_path / "run" / "best.yaml").read_text()).keys() >= {"strength", "start", "end"}
