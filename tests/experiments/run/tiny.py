"""A run of the embedded model as small as can be: images of a quarter of its size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from optuna.trial import FrozenTrial

from experiments.config.read import check_config
from experiments.config.schema import RunConfig

TINY = {
    "scenes": {"count": 1, "seed": 1},
    "protocol": {"rounds": 2, "images": 2, "steps": 2, "batch": 2, "size": [32, 32]},
    "space": {"strength": [0.05, 8, "log"], "guidance_scale": [1.5, 8]},
    "trials": 6,
    "replicate": 0,
}
TWO_PROMPTS = {"count": 2, "seed": 1}


def tiny_config(folder: Path, **changes: object) -> RunConfig:
    """Its configuration, with some fields changed."""
    return check_config({**TINY, "output": str(folder), **changes})


def write_tiny(path: Path, folder: Path, **changes: object) -> Path:
    """Writes its configuration to a file."""
    path.write_text(yaml.safe_dump({**TINY, "output": str(folder), **changes}))
    return path


def same_trials(ours: Sequence[FrozenTrial], others: Sequence[FrozenTrial]) -> None:
    """Asserts that two runs tried the same and found the same."""
    for once, twice in zip(ours, others, strict=True):
        assert twice.params == pytest.approx(once.params, rel=1e-3)  # sums depend on where arrays lie in memory
        assert twice.value == pytest.approx(once.value, abs=0.02)
