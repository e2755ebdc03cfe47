"""What a run left behind, as a table: every run is an ordinary Optuna study.

python examples/study_in_pandas.py runs/embedded
"""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pandas as pd

from optimizer import SCORES


def table(folder: Path) -> pd.DataFrame:
    """A row for each trial and prompt: the settings, and what they gain over no feedback on that prompt.

    Args:
        folder: output of a run.
    """
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder}/study.db")
    trials = study.trials_dataframe(attrs=("number", "state", "params", "duration"))
    gains = [
        {"number": trial.number, "prompt": prompt, "gain": gain}
        for trial in study.trials
        for prompt, gain in trial.user_attrs.get(SCORES, {}).items()
    ]
    return trials.merge(pd.DataFrame(gains), on="number")


def main(folder: Path) -> pd.DataFrame:
    """Prints the best settings, and which prompts are the hardest.

    Args:
        folder: output of a run.
    """
    found = table(folder)
    settings = found.groupby("number").agg(gain=("gain", "mean"), error=("gain", "sem"), state=("state", "first"))
    print(settings.sort_values("gain", ascending=False).head())
    print(found.groupby("prompt")["gain"].describe()[["mean", "min", "max"]])
    strength = found.drop_duplicates("number")["params_strength"]
    print(f"strength was tried from {strength.min():.2f} to {strength.max():.2f}")
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/study_in_pandas.py FOLDER, of a run such as runs/embedded")
    main(Path(sys.argv[1]))
