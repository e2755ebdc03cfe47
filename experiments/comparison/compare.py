"""Plays all arms on held-out prompts and seeds, and keeps what came of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.comparison.arms import PLAIN, WITHOUT, Arm, Comparison, Measured, arms_of, compared, measure
from experiments.comparison.intervals import Difference
from experiments.config.schema import RunConfig
from experiments.run.plan import check_tasks, measures_of, objective_of, presets_of, protocol_of, studio_of
from experiments.run.tasks import held_out_tasks
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
    if clash := tuned.keys() & {*presets_of(config), PLAIN, WITHOUT}:
        raise ValueError(f"params: {min(clash)} is the name of another arm; allowed: files of other names")
    names = dict.fromkeys([*config.objective, *config.held_out.objectives])
    objectives = [objective_of(config, each) for each in names]
    tasks = held_out_tasks(config)
    check_tasks(tasks, objectives, "held_out")
    protocol = replace(protocol_of(config), seed=config.held_out.seed)
    studio, measures = studio_of(config, protocol), measures_of(config)
    arms = arms_of(tuned, presets_of(config), protocol.plain)
    measured = []
    with tqdm(total=len(arms) * len(tasks), desc="compared") as bar:
        for arm in arms:
            bar.set_postfix_str(arm.name)
            measured.append(measure(studio, tasks, arm, objectives, measures, output / "comparison", bar.update))
    held_out = bool(config.held_out.prompts) or config.held_out.scenes is not None
    found = compared(protocol.value, [task.prompt for task in tasks], held_out, measured)
    unfinished = output / f".{FILE}.tmp"
    unfinished.write_text(json.dumps(found.to_dict()))
    unfinished.replace(output / FILE)
    return found


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
