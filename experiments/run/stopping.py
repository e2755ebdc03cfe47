"""When a run ends, read off the study."""

from __future__ import annotations

from datetime import datetime

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from experiments.config.schema import RunConfig
from experiments.run.trials import MADE
from optimizer.recommendation import FittedModel


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that say something."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def images_made(study: Study) -> float:
    """Images generated for a study's trials."""
    return sum(trial.user_attrs.get(MADE, 0) for trial in finished(study))


def minutes_taken(study: Study) -> float:
    """In which at least one trial was tried, over all times that a study was taken up."""
    spans = [
        (trial.datetime_start, trial.datetime_complete)
        for trial in finished(study)
        if trial.datetime_start is not None and trial.datetime_complete is not None
    ]
    seconds, end = 0.0, datetime.min
    for began, ended in sorted(spans):  # trials that are tried at once overlap
        seconds += max(0.0, (ended - max(began, end)).total_seconds())
        end = max(end, ended)
    return seconds / 60


def reason_to_stop(config: RunConfig, study: Study, fitted: FittedModel | None) -> str | None:
    """Why a run is over, or None.

    Args:
        config: budgets and stopping rule.
        study: of the run.
        fitted: the model of the objective, where there is one objective and something is observed.
    """
    stop, count = config.stop, len(finished(study))
    if count >= config.trials:
        return f"{count} trials"
    if stop.images is not None and (images := images_made(study)) >= stop.images:
        return f"{images:.0f} images"
    if stop.minutes is not None and (minutes := minutes_taken(study)) >= stop.minutes:
        return f"{minutes:.1f} minutes"
    if stop.chance is not None and fitted is not None and count >= stop.least:
        margin = margin_of(config, fitted)
        chance = fitted.chance_of_better(margin)
        if chance < stop.chance:
            return f"{count} trials: the chance that a setting is better by more than {margin:.2g} is {chance:.1%}"
    return None


def margin_of(config: RunConfig, fitted: FittedModel) -> float:
    """By how much a setting must be better than the recommended one for a run to be worth going on with."""
    return fitted.trial_error if config.stop.margin is None else config.stop.margin
