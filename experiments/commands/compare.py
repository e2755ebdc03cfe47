"""`fabric-bo compare`: plays all arms on held-out prompts and seeds, and says what came of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.commands.result import CommandResult
from experiments.comparison.compare import FILE, compare
from experiments.comparison.result import Comparison
from experiments.config.read import check_config, read_config
from experiments.run.optimize import read_run
from experiments.run.plan import Plan
from experiments.run.progress import Progress
from fabric.params import FabricParams


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The comparison.

    Raises:
        ValueError: there is no run, or something in it is not to be had; the message is one line.
    """
    tuned = {name: _read(path) for name, path in named(options.params).items()}
    best_known = None
    if options.source.is_dir():
        done = read_run(options.source)
        config, best_known = done.plan.config, done.best_known()
        tuned = tuned or {"tuned": done.recommended()[1]}
    elif not tuned:
        raise ValueError(f"params: none, and {options.source} is no folder of a run; allowed: one or more files")
    else:
        config = read_config(options.source)
    if options.seed is not None:
        values = config.model_dump(mode="json")
        values["held_out"]["seed"] = options.seed
        config = check_config(values)
    output = options.output or config.output
    found = compare(Plan.of(config), tuned, output, best_known, progress)
    return CommandResult(f"{table(found)}\n\n{found.verdict}", {**found.to_dict(), "file": str(output / FILE)})


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Files by the names that tell them apart: their stems, with their folders where stems are equal.

    Raises:
        ValueError: two files of one name in folders of one name.
    """
    stems = Counter(path.stem for path in paths)
    found: dict[str, Path] = {}
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else f"{path.resolve().parent.name}/{path.stem}"
        if name in found:
            raise ValueError(f"params: {found[name]} and {path} are both called {name}; allowed: files of other names")
        found[name] = path
    return found


def _read(path: Path) -> FabricParams:
    try:
        return FabricParams.from_yaml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"params: {path} cannot be read ({error})") from error


def table(found: Comparison) -> str:
    """All arms by round, and what the first is better by."""
    lines = []
    for objective, differences in found.differences.items():
        rounds = len(found.arms[0].scores[objective][0])
        heads = "".join(f"{f'round {k + 1}: max mean min':>24}" for k in range(rounds))
        lines.append(f"\n{objective:<28}{heads}{'first is better by':>28}{'wins':>6}{'s/image':>9}")
        for measured in found.arms:
            scores = measured.scores[objective]
            cells = "".join(
                f"{scores[:, k].max(1).mean():>12.3f}{scores[:, k].mean():>6.3f}{scores[:, k].min(1).mean():>6.3f}"
                for k in range(rounds)
            )
            difference = differences.get(measured.arm.name)
            better = f"{difference!s:>28}{difference.wins:>6.0%}" if difference else " " * 34
            lines.append(f"{measured.arm.name:<28}{cells}{better}{measured.seconds:>9.2f}")
        best, difference = next(
            (name, difference) for name, difference in differences.items() if name.startswith("best of")
        )
        lines.append(f"{best:<28}{'':>{24 * rounds}}{difference!s:>28}{difference.wins:>6.0%}")
    for name in found.arms[0].measures:
        lines.append(f"\n{name:<28}" + "".join(f"{f'round {k + 1}':>12}" for k in range(rounds)))
        for measured in found.arms:
            means = measured.measures[name].mean(0)
            lines.append(f"{measured.arm.name:<28}" + "".join(f"{mean:>12.3f}" for mean in means))
    return "\n".join(lines).lstrip("\n")
