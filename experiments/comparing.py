"""`fabric-bo compare`: plays all arms on held-out prompts and seeds, and says what came of it."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from experiments.compare import PLAIN, WITHOUT, Comparison, arms_of, compared, measure
from experiments.config import RunConfig, check_config, read_config
from experiments.optimize import recommended_of
from experiments.setup import check_tasks, measures_of, objective_of, presets_of, protocol_of, studio_of
from experiments.storage import read_study
from experiments.tasks import held_out_tasks
from fabric.params import FabricParams

FILE = "comparison.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("source", type=Path, help="output of a run, or a YAML configuration (then with --params)")
    parser.add_argument("--params", type=Path, nargs="+", default=[], help="files of parameters to compare instead")
    parser.add_argument("--seed", type=int, help="of the images; never the run's own")
    parser.add_argument("--output", type=Path, help="folder to write to; the run's by default")


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        Exit code 0.

    Raises:
        ValueError: there is no run, or something in it is not to be had; the message is one line.
    """
    tuned = {path.stem: _read(path) for path in options.params}
    if options.source.is_dir():
        _, values = read_study(options.source)
        config = check_config({**values, "output": str(options.source)})
        tuned = tuned or {"tuned": recommended_of(config)}
    elif not tuned:
        raise ValueError(f"params: none, and {options.source} is no folder of a run; allowed: one or more files")
    else:
        config = read_config(options.source)
    if options.seed is not None:
        values = config.model_dump(mode="json")
        values["held_out"]["seed"] = options.seed
        config = check_config(values)
    found = compare(config, tuned, options.output or config.output)
    print(table(found))
    print(f"\n{found.verdict}")
    return 0


def _read(path: Path) -> FabricParams:
    try:
        return FabricParams.from_yaml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"params: {path} cannot be read ({error})") from error


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


def table(found: Comparison) -> str:
    """All arms by round, and what the first is better by."""
    lines = []
    for objective, differences in found.differences.items():
        rounds = len(found.arms[0].scores[objective][0])
        heads = "".join(f"{f'round {k + 1}: max mean min':>24}" for k in range(rounds))
        lines.append(f"\n{objective:<28}{heads}{'first is better by':>28}{'wins':>6}{'s/image':>9}")
        for one in found.arms:
            scores = one.scores[objective]
            cells = "".join(
                f"{scores[:, k].max(1).mean():>12.3f}{scores[:, k].mean():>6.3f}{scores[:, k].min(1).mean():>6.3f}"
                for k in range(rounds)
            )
            its = differences.get(one.arm.name)
            better = f"{its!s:>28}{its.wins:>6.0%}" if its else " " * 34
            lines.append(f"{one.arm.name:<28}{cells}{better}{one.seconds:>9.2f}")
        best, its = next((name, its) for name, its in differences.items() if name.startswith("best of"))
        lines.append(f"{best:<28}{'':>{24 * rounds}}{its!s:>28}{its.wins:>6.0%}")
    for name in found.arms[0].measures:
        lines.append(f"\n{name:<28}" + "".join(f"{f'round {k + 1}':>12}" for k in range(rounds)))
        for one in found.arms:
            means = one.measures[name].mean(0)
            lines.append(f"{one.arm.name:<28}" + "".join(f"{mean:>12.3f}" for mean in means))
    return "\n".join(lines).lstrip("\n")
