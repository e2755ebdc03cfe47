"""`fabric-bo score`: scores of picture files."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL.Image import Image

from experiments.commands.result import CommandResult
from experiments.files.atomic import atomic_write
from experiments.files.pictures import read_facts
from experiments.run.progress import Progress
from fabric.images import find_pictures, open_picture
from fabric.models import checked_device
from objectives.base import Context, Objective, ObjectiveError, check_needs
from objectives.registry import create
from objectives.scoring import score
from objectives.shared import SharedModels

_FORMATS = (".csv", ".json")


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs `fabric-bo score`.

    Returns:
        The scores; exit code 1 where an objective failed for some images, which are then shown without a score.

    Raises:
        ValueError: an option is wrong; the message is one line.
    """
    if options.output is not None and options.output.suffix not in _FORMATS:
        raise ValueError(f"output: {options.output} is of no known form; allowed: {', '.join(_FORMATS)}")
    checked_device(options.device)
    paths = find_pictures(*options.images)
    pictures = [open_picture(path) for path in paths]
    facts = [read_facts(path) or {} for path in paths]
    models = {str(fact.get("model")) for fact in facts}
    model = models.pop() if len(models) == 1 else None
    shared_models = SharedModels()
    objectives = [create(name, options.checkpoint, options.device, model, shared_models) for name in options.objective]
    shared = _shared(options)
    contexts = [replace(shared, prompt=options.prompt or fact.get("prompt")) for fact in facts]
    for objective in objectives:
        if objective.asks_people:
            raise ValueError(f"objective: {objective.name} asks people; allowed: in fabric-bo optimize and compare")
        check_needs(objective, contexts)
        progress.doing(f"loading {objective.name}")
        objective.prepare()
    rows: list[dict[str, Any]] = [{"image": str(path)} for path in paths]
    complete = True
    for objective in objectives:
        progress.doing(f"scoring {len(paths)} pictures by {objective.name}")
        values, failures = _score(objective, pictures, contexts)
        for place, reason in failures.items():
            progress.warn(f"error: objective {objective.name}: {paths[place]}: {reason}")
        complete &= not failures
        for row, value in zip(rows, values, strict=True):
            row[objective.name] = value
    if options.output is not None:
        _write(rows, options.output)
    return CommandResult(_table(rows), rows, 0 if complete else 1)


def _shared(options: argparse.Namespace) -> Context:
    """What all images are scored against."""
    return Context(
        targets=_read(options.target),
        liked=_read(options.liked),
        disliked=_read(options.disliked),
        baseline=None if options.baseline is None else open_picture(options.baseline),
    )


def _score(
    objective: Objective, pictures: Sequence[Image], contexts: Sequence[Context]
) -> tuple[list[float | None], Mapping[int, str]]:
    """Scores, None where the objective failed, and why it failed, by place."""
    try:
        return list(score(objective, pictures, contexts)), {}
    except ObjectiveError as error:
        values = [None if place in error.failures else value for place, value in enumerate(error.scores)]
        return values, error.failures


def _read(given: Sequence[Path]) -> tuple[Image, ...]:
    return tuple(open_picture(file) for file in find_pictures(*given))


def _table(rows: Sequence[dict[str, Any]]) -> str:
    names = [name for name in rows[0] if name != "image"]
    cells = [["image", *names]]
    for row in rows:
        cells.append([row["image"], *("failed" if row[name] is None else f"{row[name]:.4f}" for name in names)])
    first, *others = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths = [max(10, width) for width in others]
    return "\n".join(
        "  ".join([line[0].ljust(first), *(cell.rjust(width) for cell, width in zip(line[1:], widths, strict=True))])
        for line in cells
    )


def _write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        if path.suffix == ".json":
            unfinished.write_text(json.dumps(list(rows), indent=1) + "\n")
            return
        with unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
