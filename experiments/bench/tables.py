"""Results of benchmarks: kept as JSON beside this module, and the tables of BENCHMARKS.md that are made from them.

`python -m experiments.bench.tables` writes the tables anew; a test compares them with the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.intervals import Difference, paired_difference

FOLDER = Path(__file__).with_name("results")
BENCHMARKS = Path(__file__).with_name("BENCHMARKS.md")
NAMES = {"gp": "gp", "random": "random", "tpe": "TPE", "cma-es": "CMA-ES", "optuna-gp": "Optuna's GPSampler"}


def read_results(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What a benchmark found.

    Args:
        name: of the benchmark, as in `fabric-bo bench NAME`.
        folder: of the files.

    Raises:
        ValueError: no such file, or none of JSON; the message is one line.
    """
    path = folder / f"{name}.json"
    try:
        results: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"results: {path} cannot be read ({error}); allowed: a file of fabric-bo bench") from error
    return results


def sampler_differences(results: dict[str, Any]) -> dict[tuple[str, int], Difference]:
    """What the first sampler is better by than others, by their name and the number of trials; pairs are seeds."""
    tables = {name: np.array(rows, dtype=np.float64) for name, rows in results["values"].items()}
    ours, *others = tables
    return {
        (other, trials): paired_difference(tables[ours][:, column], tables[other][:, column])
        for other in others
        for column, trials in enumerate(results["trials"])
    }


def samplers_table(results: dict[str, Any]) -> str:
    """Markdown: a row for each seed, means, the worst seed, and paired differences with their intervals."""
    names, looks = list(results["values"]), results["trials"]
    values = np.concatenate([np.array(results["values"][name]) for name in names], axis=1)
    lines = [
        f"| seed | {' | '.join(f'{NAMES[name]}, {look}' for name in names for look in looks)} |",
        f"|---:|{'---:|' * values.shape[1]}",
        *(f"| {seed} | {_cells(row, '{:.3f}')} |" for seed, row in enumerate(values)),
        f"| **mean** | {_cells(values.mean(0), '**{:.3f}**')} |",
        f"| worst | {_cells(values.min(0), '{:.3f}')} |",
        "",
        "| better than | trials | by, with its 95 % interval | on so many seeds |",
        "|---|---:|---|---:|",
    ]
    for (other, trials), difference in sampler_differences(results).items():
        lines.append(f"| {NAMES[other]} | {trials} | {difference} | {difference.wins:.0%} |")
    return "\n".join(lines)


def _cells(row: Any, form: str) -> str:
    return " | ".join(form.format(value) for value in row)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"samplers": samplers_table}
"""How the table of a benchmark is made from its results."""


def with_tables(text: str, folder: Path = FOLDER) -> str:
    """A Markdown text with each table between `<!-- NAME -->` and `<!-- /NAME -->` made anew from the kept results."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        block = f"{begin}\n{table(read_results(name, folder))}\n{end}"
        text = re.sub(f"{begin}.*?{end}", block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    BENCHMARKS.write_text(with_tables(BENCHMARKS.read_text()))
