"""Runs by the commands that users type, as small as can be."""

from __future__ import annotations

from pathlib import Path

import yaml

from experiments.cli import main


def whole_run(folder: Path, rounds: int = 2, **values: object) -> Path:
    """Optimises, compares and reports on images of a quarter of the embedded model's size.

    Args:
        folder: that the configuration is written to.
        rounds: of each prompt.
        values: of the configuration, besides what is small.

    Returns:
        The run's folder.
    """
    protocol = {"rounds": rounds, "images": 2, "steps": 2, "batch": 4, "size": [32, 32], "prune": 0}
    small = {"objective": "clip-prompt", "protocol": protocol, "space": {"strength": [0.05, 8, "log"]}}
    file, output = folder / "run.yaml", folder / "run"
    file.write_text(yaml.safe_dump({**small, **values, "output": str(output)}))
    assert main(["--quiet", "optimize", str(file)]) == 0
    assert main(["--quiet", "compare", str(output)]) == 0
    assert main(["--quiet", "report", str(output)]) == 0
    return output
