"""Plays all arms on held-out prompts and seeds, and keeps what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from experiments.comparison.arms import Arm, Measured, arms_of, folder_name, measure
from experiments.comparison.result import BEST_OF, Comparison, compared
from experiments.files.atomic import atomic_write
from experiments.run.plan import Plan
from fabric.params import FabricParams

FOLDER = "comparison"
FILE = "comparison.json"


def compare(
    plan: Plan,
    tuned: Mapping[str, FabricParams],
    output: Path,
    best_known: tuple[str, FabricParams] | None = None,
) -> Comparison:
    """Plays all arms on a plan's held-out tasks.

    Args:
        plan: of a run.
        tuned: settings by name; the first is what the others are compared with.
        output: folder for `comparison.json` and the pictures.
        best_known: name and setting of fixed FABRIC at its best on the run's own prompts; see `Run.best_known`.

    Raises:
        ValueError: something in the configuration is not to be had, or arms share a name.
        ObjectiveError: an objective failed.
    """
    arms = arms_of(tuned, best_known, plan.presets, plan.held_out_protocol.plain)
    check_names(arms)
    tasks, objectives, measures = plan.held_out_tasks, plan.held_out_objectives, plan.measures
    generator = plan.generator(plan.held_out_protocol)
    generator.warm_up()
    measured: list[Measured] = []
    with tqdm(total=len(arms) * len(tasks), desc="compared") as bar:
        for arm in arms:
            bar.set_postfix_str(arm.name)
            generator.forget()  # or the seconds of later arms would be without what the first ones paid for
            measured.append(measure(generator, tasks, arm, objectives, measures, output / FOLDER, bar.update))
    held_out = not {task.prompt for task in tasks} & {task.prompt for task in plan.tasks}
    found = compared(plan.protocol.value, [task.prompt for task in tasks], held_out, measured)
    with atomic_write(output / FILE) as path:
        path.write_text(json.dumps(found.to_dict()))
    return found


def check_names(arms: Sequence[Arm]) -> None:
    """Checks that every arm has a name, and a folder for its pictures, of its own.

    Raises:
        ValueError: two would share them; the message names one.
    """
    taken = {folder_name(arm.name) for arm in arms if arm.kind != "tuned"}
    for arm in arms:
        if arm.kind == "tuned":
            if arm.name.startswith(BEST_OF.partition("{")[0]) or folder_name(arm.name) in taken:
                raise ValueError(f"params: {arm.name} is the name of another arm; allowed: files of other names")
            taken.add(folder_name(arm.name))


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
