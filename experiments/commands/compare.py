"""`fabric-bo compare`: plays all arms on held-out prompts and seeds, and says what came of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.commands.result import CommandResult
from experiments.comparison.compare import FILE, compare
from experiments.comparison.result import Comparison, task_values
from experiments.config.family import with_family
from experiments.config.read import check_config, read_values
from experiments.config.setting import Setting
from experiments.intervals import Difference
from experiments.people.asking import questions_of
from experiments.people.choices import StudyChoices
from experiments.people.ratings import StudyRatings
from experiments.run.optimize import read_run
from experiments.run.plan import Plan
from experiments.run.progress import Progress
from experiments.run.protocol import Scores
from fabric.params import FabricParams


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The comparison.

    Raises:
        ValueError: there is no run, or something in it is not to be had; the message is one line.
    """
    tuned = {name: _read(path) for name, path in named(options.params, "params").items()}
    study = best_known = None
    if options.source.is_dir():
        done = read_run(options.source)
        study, config, best_known = done.study, done.plan.config, done.best_known()
        tuned = tuned or {"tuned": done.recommended()[1]}
    elif not tuned:
        raise ValueError(
            f"params: none, and {options.source} is no folder of a run; allowed: such a folder, or --params with files"
        )
    else:
        config = with_family(read_values(options.source))
    if options.seed is not None:
        values = config.model_dump(mode="json")
        values["held_out"]["seed"] = options.seed
        config = check_config(values)
    output = options.output or config.output
    plan = Plan.of(config)
    questions = None
    if study is not None:
        questions = questions_of(study, config, plan.artifacts)
    elif plan.asks_people:
        raise ValueError(f"people: {options.source} has no page on which they are asked; allowed: a folder of a run")
    plan.shared.ratings = questions if isinstance(questions, StudyRatings) else None
    choices = questions if isinstance(questions, StudyChoices) and plan.asks_people else None
    workers = config.workers if options.workers is None else options.workers
    if workers < 1:
        raise ValueError(f"workers: {workers}; allowed: 1 or more")
    found = compare(plan, tuned, output, best_known, progress, choices, workers)
    text = "\n\n".join(filter(None, [table(found), found.verdict]))
    return CommandResult(text, {**found.to_dict(), "file": str(output / FILE)})


def named(paths: Sequence[Path], option: str) -> dict[str, Path]:
    """Files or folders by the names that tell them apart: their stems, with their folders where stems are equal.

    Args:
        paths: of them.
        option: that they were given by, for the message.

    Raises:
        ValueError: two of one name in folders of one name.
    """
    stems = Counter(path.stem for path in paths)
    found: dict[str, Path] = {}
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else f"{path.resolve().parent.name}/{path.stem}"
        if name in found:
            raise ValueError(f"{option}: {found[name]} and {path} are both called {name}; allowed: other names")
        found[name] = path
    return found


def _read(path: Path) -> FabricParams:
    try:
        return Setting.from_yaml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"params: {path} cannot be read ({error})") from error


def table(found: Comparison) -> str:
    """What the first arm is better by than the others, then all arms round by round."""
    first = found.arms[0].arm.name
    width = max(len(arm.arm.name) for arm in found.arms)
    lines = []
    for objective, differences in found.differences.items():
        lines.append(f"{objective:<{width}}{'score':>8}{f'{first} is better by':>27}{'wins':>6}{'s/image':>9}")
        for arm in found.arms:
            score = task_values(arm.scores[objective], found.value).mean()
            seconds = "–" if arm.seconds is None else f"{arm.seconds:.2f}"
            lines.append(f"{arm.arm.name:<{width}}{score:>8.3f}{_cells(differences.get(arm.arm.name))}{seconds:>9}")
        best, its = next((name, its) for name, its in differences.items() if name.startswith("best of"))
        lines += [f"{best:<{width}}{'':>8}{_cells(its)}", ""]
    tables = {name: {arm.arm.name: arm.scores[name].mean(2) for arm in found.arms} for name in found.differences}
    tables |= {name: {arm.arm.name: arm.measures[name] for arm in found.arms} for name in found.arms[0].measures}
    for name, rows in tables.items():
        lines += [*_rounds(name, rows, width), ""]
    return "\n".join(lines).rstrip("\n")


def _cells(difference: Difference | None) -> str:
    """What the first arm is better by than another, and on how many prompts."""
    return f"{difference!s:>27}{difference.wins:>6.0%}" if difference else " " * 33


def _rounds(name: str, rows: Mapping[str, Scores], width: int) -> list[str]:
    """A head, then means of each arm by round; P x R values each, NaN where a round has none."""
    count = next(iter(rows.values())).shape[1]
    lines = [f"{name:<{width}}" + "".join(f"{f'round {k + 1}':>10}" for k in range(count))]
    for arm, values in rows.items():
        cells = "".join(f"{'–' if np.isnan(mean) else f'{mean:.3f}':>10}" for mean in values.mean(0))
        lines.append(f"{arm:<{width}}{cells}")
    return lines
