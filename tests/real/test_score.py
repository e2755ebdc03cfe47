"""`fabric-bo score` by PickScore and CLIP ViT-L/14, which it finds where the hub keeps them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.real import hub

pytestmark = pytest.mark.real
Command = Callable[..., CompletedProcess[str]]


def test_pickscore_and_clip(home: Path, command: Command, pictures: list[Path], tmp_path: Path) -> None:
    hub.save_pickscore(home)
    hub.save_processor(home)
    hub.save_clip(home)
    output = tmp_path / "scores.json"
    against = ("--prompt", "a cat in a hat", "--target", pictures[0])
    done = command("score", *pictures, "--objective", "pickscore", "clip-target", *against, "--output", output)
    assert done.returncode == 0, done.stderr
    same, other = json.loads(output.read_text())
    assert same["clip-target"] == pytest.approx(1, abs=1e-5)
    assert other["clip-target"] < 0.999
    assert all(math.isfinite(row["pickscore"]) and 0 < abs(row["pickscore"]) < 100 for row in (same, other))
    assert same["pickscore"] != pytest.approx(other["pickscore"], abs=1e-3)
