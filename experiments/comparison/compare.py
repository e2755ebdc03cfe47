"""Plays all arms on held-out prompts and seeds, and keeps what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from experiments.comparison.arms import (
    BEST_OF,
    PLAIN,
    WITHOUT,
    Comparison,
    arms_of,
    compared,
    folder_name,
    measure,
)
from experiments.config.schema import RunConfig
from experiments.run.plan import check_tasks, measures_of, objective_of, presets_of, protocol_of, studio_of
from experiments.run.tasks import held_out_tasks, tasks_of
from fabric.params import FabricParams

FILE = "comparison.json"


def compare(config: RunConfig, tuned: dict[str, FabricParams], output: Path) -> Comparison:
    """Plays all arms on the held-out tasks of a configuration.

    Args:
        config: of a run.
        tuned: settings by name; the first is what the others are compared with.
        output: folder for `comparison.json` and the pictures.

    Raises:
        ValueError: something in the configuration is not to be had.
        ObjectiveError: an objective failed.
    """
    _check_names(tuned, [*presets_of(config), PLAIN, WITHOUT])
    names = dict.fromkeys([*config.objective, *config.held_out.objectives])
    objectives = [objective_of(config, each) for each in names]
    tasks = held_out_tasks(config)
    check_tasks(tasks, objectives, "held_out")
    protocol = replace(protocol_of(config), seed=config.held_out.seed)
    studio, measures = studio_of(config, protocol), measures_of(config)
    arms = arms_of(tuned, presets_of(config), protocol.plain)
    studio.warm_up()
    measured = []
    with tqdm(total=len(arms) * len(tasks), desc="compared") as bar:
        for arm in arms:
            bar.set_postfix_str(arm.name)
            studio.forget()  # or the seconds of later arms would be without what the first ones paid for
            measured.append(measure(studio, tasks, arm, objectives, measures, output / "comparison", bar.update))
    held_out = not {task.prompt for task in tasks} & {task.prompt for task in tasks_of(config)}
    found = compared(protocol.value, [task.prompt for task in tasks], held_out, measured)
    unfinished = output / f".{FILE}.tmp"
    unfinished.write_text(json.dumps(found.to_dict()))
    unfinished.replace(output / FILE)
    return found


def _check_names(tuned: Iterable[str], others: Iterable[str]) -> None:
    """Every arm has a name, and a folder for its pictures, of its own.

    Raises:
        ValueError: two would share them; the message names one.
    """
    taken = {folder_name(name): name for name in others}
    for name in tuned:
        if name.startswith(BEST_OF.partition("{")[0]) or folder_name(name) in taken:
            raise ValueError(f"params: {name} is the name of another arm; allowed: files of other names")
        taken[folder_name(name)] = name


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
        return Comparison.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        again = "run fabric-bo compare again"
        raise ValueError(f"comparison: {path} cannot be read ({error!r}); {again}") from error
