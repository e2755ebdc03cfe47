"""`fabric-bo score` and `fabric-bo objectives`: scores of picture files, and what there is to score with."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL.Image import Image

from experiments.files.atomic import atomic_write
from experiments.files.pictures import read_facts
from fabric.images import find_pictures, open_picture
from fabric.models import checked_device
from objectives import plugins
from objectives.base import Context, Objective, ObjectiveError, check_needs
from objectives.registry import BUILT_IN, create, state_of
from objectives.scoring import score

_FORMATS = (".csv", ".json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo score`."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="pictures or folders")
    parser.add_argument(
        "--objective", nargs="+", required=True, metavar="NAME", help="see `fabric-bo objectives`; module:attribute"
    )
    parser.add_argument("--checkpoint", help="of the objective's model; embedded is the default for its pictures")
    parser.add_argument("--prompt", help="of all the images; by default what each PNG says it was made with")
    parser.add_argument("--target", nargs="+", type=Path, default=[], help="pictures or folders to come close to")
    parser.add_argument("--liked", nargs="+", type=Path, default=[], help="liked pictures or folders")
    parser.add_argument("--disliked", nargs="+", type=Path, default=[], help="disliked pictures or folders")
    parser.add_argument("--baseline", type=Path, help="one picture made without feedback, for objectives of gain")
    parser.add_argument("--device", default="cpu", help="of the objective's model: cpu, cuda or mps")
    parser.add_argument("--output", type=Path, help="a .csv or .json file to write as well")


def run(options: argparse.Namespace) -> int:
    """Runs `fabric-bo score`.

    Returns:
        Exit code 0; 1 where an objective failed for some images, which are then shown without a score.

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
    objectives = [create(name, options.checkpoint, options.device, model) for name in options.objective]
    shared = _shared(options)
    contexts = [replace(shared, prompt=options.prompt or fact.get("prompt")) for fact in facts]
    for objective in objectives:
        check_needs(objective, contexts)
        objective.prepare()
    rows: list[dict[str, Any]] = [{"image": str(path)} for path in paths]
    complete = True
    for objective in objectives:
        values = _score(objective, paths, pictures, contexts)
        complete &= None not in values
        for row, value in zip(rows, values, strict=True):
            row[objective.name] = value
    _print(rows)
    if options.output is not None:
        _write(rows, options.output)
    return 0 if complete else 1


def _shared(options: argparse.Namespace) -> Context:
    """What all images are scored against."""
    return Context(
        targets=_read(options.target),
        liked=_read(options.liked),
        disliked=_read(options.disliked),
        baseline=None if options.baseline is None else open_picture(options.baseline),
    )


def _score(
    objective: Objective, paths: Sequence[Path], pictures: Sequence[Image], contexts: Sequence[Context]
) -> list[float | None]:
    """Scores, None where the objective failed, which is said."""
    try:
        return list(score(objective, pictures, contexts))
    except ObjectiveError as error:
        for place, reason in error.failures.items():
            print(f"error: objective {objective.name}: {paths[place]}: {reason}", file=sys.stderr)
        return [None if place in error.failures else value for place, value in enumerate(error.scores)]


def _read(given: Sequence[Path]) -> tuple[Image, ...]:
    return tuple(open_picture(file) for file in find_pictures(*given))


def _print(rows: Sequence[dict[str, Any]]) -> None:
    names = [name for name in rows[0] if name != "image"]
    width = max(len("image"), *(len(row["image"]) for row in rows))
    print("image".ljust(width), *(name.rjust(max(10, len(name))) for name in names), sep="  ")
    for row in rows:
        cells = ("failed" if row[name] is None else f"{row[name]:.4f}" for name in names)
        print(
            row["image"].ljust(width),
            *(cell.rjust(max(10, len(name))) for cell, name in zip(cells, names, strict=True)),
            sep="  ",
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


def add_listing_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo objectives`: none."""


def list_objectives(options: argparse.Namespace) -> int:
    """Runs `fabric-bo objectives`.

    Returns:
        Exit code 0.
    """
    for name, entry in BUILT_IN.items():
        objective = entry.make(entry.checkpoint, "cpu")
        better = "higher" if objective.higher_is_better else "lower"
        embedded = "; embedded: here" if entry.embedded else ""
        print(f"{name:<18}{entry.about}")
        print(f"{'':<18}needs {', '.join(sorted(objective.needs)) or 'nothing'}; {better} is better")
        print(f"{'':<18}{entry.checkpoint}: {state_of(entry.checkpoint)}{embedded}")
    for name, make in plugins.installed().items():
        try:
            objective = make()
        except ValueError as error:
            print(f"{name:<18}plug-in that cannot be read ({error})")
            continue
        print(f"{name:<18}plug-in; needs {', '.join(sorted(objective.needs)) or 'nothing'}")
    print(f"{'module:attribute':<18}a function (images, prompts) -> floats, or an Objective; also FILE.py:attribute")
    return 0
