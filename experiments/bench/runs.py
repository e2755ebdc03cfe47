"""What the documents say of a run's comparison, kept as the results of benchmarks are.

`python -m experiments.bench.runs runs/emoji` writes `experiments/bench/results/emoji.json`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench.kept import FOLDER, write_results
from experiments.comparison.compare import read_comparison
from experiments.comparison.result import Comparison
from experiments.intervals import Difference
from experiments.run.protocol import task_value


def of_comparison(found: Comparison) -> dict[str, Any]:
    """What the documents say of a comparison: by its first objective, under names that no run changes.

    Returns:
        The mean of the tuned settings, and what they are better by: mean and both ends of the 95 % interval.
    """
    objective, differences = next(iter(found.differences.items()))
    by_kind = {measured.arm.kind: measured.arm.name for measured in found.arms}
    value: Any = found.value  # of a file, so no type checker knows it
    best_of = next(name for name in differences if name.startswith("best of"))
    names = {
        "best preset": found.best_preset,
        "best known": by_kind.get("best known"),
        "no feedback": by_kind["plain"],
        "feedback taken out": by_kind["without feedback"],
        "best of as many": best_of,
    }
    return {
        "objective": objective,
        "prompts": len(found.prompts),
        "value": float(np.mean([task_value(table, value) for table in found.arms[0].scores[objective]])),
        "names": names,
        "better": {kind: _interval(differences[name]) for kind, name in names.items() if name is not None},
    }


def _interval(difference: Difference) -> list[float]:
    return [difference.mean, difference.low, difference.high]


def main(arguments: list[str], results: Path = FOLDER) -> int:
    """Keeps a comparison.

    Args:
        arguments: the run's folder; its name is that of the file and of the configuration.
        results: folder to write to.

    Returns:
        Exit code: 0, or 2 where there is no comparison.
    """
    (folder,) = map(Path, arguments)
    found = read_comparison(folder)
    if found is None:
        print(f"error: run: {folder} has no comparison; run fabric-bo compare first", file=sys.stderr)
        return 2
    command = f"make run CONFIG=experiments/configs/{folder.name}.yaml"
    write_results(results / f"{folder.name}.json", command, {"run": folder.name, **of_comparison(found)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
