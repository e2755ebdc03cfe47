"""Two objectives at once: the settings of which none is better in both.

python examples/two_objectives.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.config.read import check_config
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from fabric import FabricParams
from optimizer import Recommendation, pareto


def main(output: Path, trials: int = 10, steps: int = 6) -> dict[tuple[Recommendation, ...], FabricParams]:
    """Likes what looks like the target, but not pictures that are all alike.

    Args:
        output: folder of the run.
        trials: settings to try.
        steps: of denoising.

    Returns:
        Settings of the front by what the model expects of each objective, over no feedback.
    """
    config = {
        "scenes": {"count": 2, "board": 0},  # two prompts, and a board of four pictures
        "objective": ["clip-target", "diversity"],
        "protocol": {"rounds": 1, "images": 3, "steps": steps},
        "trials": trials,
        "output": str(output),
    }
    run = optimize(Plan.of(check_config(config)))
    front = {
        expected: run.plan.space.params(run.study.trials[expected[0].number].params)
        for expected in pareto(run.observations())
    }
    for (similarity, diversity), params in front.items():
        print(f"similarity {similarity.mean:+.3f}, diversity {diversity.mean:+.3f}, strength {params.strength:.2f}")
    return front


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(folder))
