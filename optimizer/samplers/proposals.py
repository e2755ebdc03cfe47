"""What a trial is to try, known to all workers from the moment it is chosen.

Optuna writes a trial's parameters one by one as they are asked for. Until then others would not know of it, and would
choose the same; so what is proposed is written at once, as a system attribute, as Optuna's own samplers do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

_PROPOSAL = "optimizer:proposal"
_LONGEST, _BETWEEN = 30.0, 0.2  # seconds that others are waited for, and between two looks


def publish(
    study: Study, trial: FrozenTrial, settings: Mapping[str, Any], space: Mapping[str, BaseDistribution]
) -> None:
    """Writes what a trial is to try.

    Args:
        study: of the trial.
        trial: that runs.
        settings: by parameter.
        space: of these parameters.
    """
    if trial.state == TrialState.RUNNING:
        proposed = {name: space[name].to_internal_repr(value) for name, value in settings.items()}
        content: dict[str, Any] = {"study": study.study_name, "params": proposed}
        study._storage.set_trial_system_attr(trial._trial_id, _PROPOSAL, content)


def params_of(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """What a trial tries, as far as it is known: parameters that were asked for, and those that are proposed."""
    proposed = trial.system_attrs.get(_PROPOSAL, {}).get("params", {})
    known = {name: space[name].to_external_repr(value) for name, value in proposed.items() if name in space}
    return {**known, **trial.params}


def is_own(study: Study, trial: FrozenTrial) -> bool:
    """Whether a trial was proposed in this study, and not enqueued, or added from elsewhere.

    Trials of studies that were made before proposals were written count, unless they were added as finished ones.
    """
    if "fixed_params" in trial.system_attrs:  # Optuna's name for what was enqueued
        return False
    if (proposal := trial.system_attrs.get(_PROPOSAL)) is not None:
        return bool(proposal["study"] == study.study_name)
    return trial.datetime_complete is None or trial.datetime_start != trial.datetime_complete


def wait_for_earlier(study: Study, trial: FrozenTrial) -> Sequence[FrozenTrial]:
    """Waits until all trials that began before this one have said what they try, and returns all trials of the study.

    Workers that ask at the same moment would else choose the same. One that died meanwhile is not waited for long.

    Args:
        study: of the trial.
        trial: that runs.
    """
    deadline = time.monotonic() + _LONGEST
    while True:
        trials = study.get_trials(deepcopy=False)
        choosing = (
            other
            for other in trials
            if other.state == TrialState.RUNNING
            and other.number < trial.number
            and not other.params
            and _PROPOSAL not in other.system_attrs
        )
        if next(choosing, None) is None or time.monotonic() > deadline:
            return trials
        time.sleep(_BETWEEN)
