"""A search space of one's own: what is sought, in which range, and what is fixed.

python examples/own_space.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from optuna.distributions import FloatDistribution

from experiments.config.read import check_config
from experiments.run.optimize import Run, optimize
from experiments.run.plan import Plan


def main(output: Path, trials: int = 12, steps: int = 6) -> Run:
    """Asks only how strongly liked and disliked pictures should count, and from when on.

    Args:
        output: folder of the run.
        trials: settings to try.
        steps: of denoising.
    """
    config = {
        "scenes": {"count": 2, "board": 0},  # two prompts of the embedded model's world, and a board of four pictures
        "objective": "clip-target",
        "space": {
            "strength": [0.1, 4, "log"],  # any field of FabricParams: [low, high] or [low, high, log]
            "neg_scale": [0, 2],
            "start": [0, 0.5],
            "weights": [0, 1],  # one for each picture that is liked or disliked from the start
        },
        "fixed": {"end": 0.9, "guidance_scale": 5},
        "protocol": {"rounds": 1, "images": 2, "steps": steps},
        "trials": trials,
        "output": str(output),
    }
    plan = Plan.of(check_config(config))
    print("sought:")
    for name, range_ in plan.space.distributions.items():
        if isinstance(range_, FloatDistribution):
            print(f"  {name}: {range_.low:g} to {range_.high:g}{', by its logarithm' if range_.log else ''}")
    print("tried first:", ", ".join(plan.known_settings))
    run = optimize(plan)
    print(run.recommended()[1].to_yaml())
    return run


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(folder))
