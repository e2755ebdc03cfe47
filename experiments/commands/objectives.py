"""`fabric-bo objectives`: what there is to score with."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.commands.result import CommandResult
from experiments.run.progress import Progress
from objectives import plugins
from objectives.registry import BUILT_IN, state_of
from objectives.shared import SharedModels

_OWN = "a function (images, prompts) -> floats, or an Objective; also FILE.py:attribute"
_INDENT = 18


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        All objectives that are built in or installed.
    """
    found = [*_built_in(), *_installed()]
    lines = [line for objective in found for line in _lines(objective)]
    return CommandResult("\n".join([*lines, f"{'module:attribute':<{_INDENT}}{_OWN}"]), found)


def _built_in() -> list[dict[str, Any]]:
    found = []
    for name, entry in BUILT_IN.items():
        objective = entry.make(entry.checkpoint, "cpu", SharedModels())
        needs, higher = sorted(objective.needs), objective.higher_is_better
        about = {"name": name, "about": entry.about, "needs": needs, "higher_is_better": higher}
        if not entry.asks_people:
            state = state_of(entry.checkpoint)
            about |= {"checkpoint": entry.checkpoint, "state": state, "embedded": entry.embedded}
        found.append(about)
    return found


def _installed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, make in plugins.installed().items():
        try:
            objective = make()
        except ValueError as error:
            found.append({"name": name, "about": f"plug-in that cannot be read ({error})"})
            continue
        needs, higher = sorted(objective.needs), objective.higher_is_better
        found.append({"name": name, "about": "plug-in", "needs": needs, "higher_is_better": higher})
    return found


def _lines(objective: dict[str, Any]) -> list[str]:
    lines = [f"{objective['name']:<{_INDENT}}{objective['about']}"]
    if "needs" in objective:
        better = "higher" if objective["higher_is_better"] else "lower"
        needs = f"needs {', '.join(objective['needs']) or 'nothing'}; {better} is better"
        if "checkpoint" in objective:
            lines.append(f"{'':<{_INDENT}}{needs}")
        else:
            lines[0] += f"; {needs}"
    if "checkpoint" in objective:
        embedded = "".join(f"; {name}: here" for name in objective["embedded"])
        lines.append(f"{'':<{_INDENT}}{objective['checkpoint']}: {objective['state']}{embedded}")
    return lines
