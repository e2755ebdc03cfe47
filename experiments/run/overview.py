"""What runs a storage holds, and how far each of them is."""

from __future__ import annotations

from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from experiments.run.stopping import finished, minutes_taken
from experiments.run.storage import RunStorage
from experiments.run.store import WAITING, Store, running
from experiments.run.study import CONFIG, is_session


@dataclass(frozen=True)
class RunOverview:
    """A run, from afar.

    Attributes:
        name: of its study.
        objectives: names.
        finished: trials.
        trials: of its budget.
        failed: trials.
        waiting: trials that wait for people.
        workers: processes that have a trial under way.
        best: highest value of a trial of one objective; None before there is one.
        minutes_left: at the pace so far; None where there is none, or nobody works.
    """

    name: str
    objectives: list[str]
    finished: int
    trials: int
    failed: int
    waiting: int
    workers: int
    best: float | None
    minutes_left: float | None

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.finished >= self.trials:
            return "finished"
        if self.waiting:
            return f"{self.waiting} waiting for ratings"
        return "running" if self.workers else "stopped"


def overview(storage: RunStorage) -> list[RunOverview]:
    """The runs in a storage, by name; sessions of the studio are left out."""
    found = []
    for name in sorted(optuna.get_all_study_names(storage)):
        study = optuna.load_study(study_name=name, storage=storage)
        config = study.user_attrs.get(CONFIG)
        if config is not None and not is_session(config):
            found.append(overview_of(Store(study, storage)))
    return found


def overview_of(store: Store) -> RunOverview:
    """How far a run is."""
    study = store.study
    config = study.user_attrs[CONFIG]
    told, workers = finished(study), store.workers()
    values = [trial.values[0] for trial in told if trial.state == TrialState.COMPLETE and len(trial.values) == 1]
    left = max(0, config["trials"] - len(told))
    pace = minutes_taken(study) / len(told) if told else None
    return RunOverview(
        name=study.study_name,
        objectives=[objective["name"] for objective in config["objective"]],
        finished=len(told),
        trials=config["trials"],
        failed=len(study.get_trials(deepcopy=False, states=(TrialState.FAIL,))),
        waiting=sum(bool(trial.user_attrs.get(WAITING)) for trial in running(study)),
        workers=workers,
        best=max(values, default=None),
        minutes_left=pace * left if pace is not None and workers else None,
    )
