"""The comparison of a run as it lies in the folder: figures from `comparison.json`, pictures from the sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.compare import Arm, Comparison, Measured
from experiments.comparing import FILE
from experiments.statistics import Difference
from fabric.params import FabricParams

_GAP = 4  # pixels around the pictures of a sheet; see `experiments.pictures.contact_sheet`


def read_comparison(folder: Path) -> Comparison | None:
    """What `fabric-bo compare` found, or None where it was not run.

    Args:
        folder: of the run.

    Raises:
        ValueError: the file is none of its; the message is one line.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        differences = {
            objective: {name: Difference(**each) for name, each in some.items()}
            for objective, some in found["differences"].items()
        }
        arms = [_arm(each) for each in found["arms"]]
        return Comparison(found["value"], found["prompts"], found["held_out"], arms, differences)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        again = "run fabric-bo compare again"
        raise ValueError(f"comparison: {path} cannot be read ({error!r}); {again}") from error


def _arm(given: dict[str, Any]) -> Measured:
    arm = Arm(given["name"], given["kind"], FabricParams.from_dict(given["params"]))
    scores = {name: np.array(table, dtype=np.float64) for name, table in given["scores"].items()}
    measures = {name: np.array(table, dtype=np.float64) for name, table in given["measures"].items()}  # None is NaN
    return Measured(arm, scores, measures, given["seconds"], given["sheets"])


def cut(path: Path, rows: int, columns: int) -> list[list[Image.Image]] | None:
    """Pictures of a contact sheet by row; None where there is no such sheet.

    Args:
        path: of the sheet.
        rows: of it.
        columns: of it.
    """
    try:
        with Image.open(path) as opened:
            sheet = opened.convert("RGB")
    except OSError:
        return None
    if rows * columns == 1:  # a single picture has no frame
        return [[sheet]]
    width, height = (sheet.width - _GAP) // columns, (sheet.height - _GAP) // rows
    return [
        [
            sheet.crop((k * width + _GAP, row * height + _GAP, (k + 1) * width, (row + 1) * height))
            for k in range(columns)
        ]
        for row in range(rows)
    ]
