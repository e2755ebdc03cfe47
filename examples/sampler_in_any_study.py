"""The Gaussian process sampler in an Optuna study that has nothing to do with images.

python examples/sampler_in_any_study.py
"""

from __future__ import annotations

import math
import random

import optuna

from optimizer import STANDARD_ERROR, Encoding, GaussianProcessSampler, observe, recommend

NOISE = 0.3


def measured(trial: optuna.Trial, noise: random.Random) -> float:
    """A noisy measurement whose truth is best, 1, at x = 0.3 and y = 10."""
    x = trial.suggest_float("x", 0, 1)
    y = trial.suggest_float("y", 0.1, 1000, log=True)
    trial.set_user_attr(STANDARD_ERROR, NOISE)  # where it is known; it is learnt otherwise
    return truth(x, y) + noise.gauss(0, NOISE)


def truth(x: float, y: float) -> float:
    """What is sought."""
    return 1 - 4 * (x - 0.3) ** 2 - (math.log10(y) - 1) ** 2 / 4


def main(trials: int = 25, seed: int = 0) -> optuna.trial.FrozenTrial:
    """Optimises, and takes what the model recommends instead of the luckiest measurement.

    Args:
        trials: measurements.
        seed: of sampler and noise.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = [{"x": 0.5, "y": 1.0}]  # what is known to work is tried first
    study = optuna.create_study(direction="maximize", sampler=GaussianProcessSampler(first=known, seed=seed))
    noise = random.Random(seed)
    study.optimize(lambda trial: measured(trial, noise), n_trials=trials)
    encoding = Encoding(study.trials[0].distributions)
    best = recommend(observe(study, study.trials, encoding))
    recommended = study.trials[best.number]
    for name, trial in {"recommended": recommended, "luckiest": study.best_trial}.items():
        print(f"{name}: {trial.params}, measured {trial.value:.2f}, in truth {truth(**trial.params):.2f}")
    return recommended


if __name__ == "__main__":
    main()
