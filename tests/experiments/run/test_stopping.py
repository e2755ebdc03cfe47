from __future__ import annotations

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from experiments.run.stopping import minutes_taken


def _trial(number: int, began: float, ended: float) -> FrozenTrial:
    """A trial that was tried between two minutes."""
    start = datetime(2026, 1, 1)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.COMPLETE,
        value=0.0,
        datetime_start=start + timedelta(minutes=began),
        datetime_complete=start + timedelta(minutes=ended),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


@pytest.mark.parametrize(
    ("spans", "minutes"),
    [
        ([], 0),
        ([(0, 2), (2, 3)], 3),
        ([(0, 2), (0, 2), (0, 2.5)], 2.5),  # at once
        ([(0, 4), (1, 2), (10, 11)], 5),  # in two processes, and taken up again
    ],
)
def test_minutes_in_which_several_trials_were_tried_count_once(
    spans: list[tuple[float, float]], minutes: float
) -> None:
    study = optuna.create_study()
    study.add_trials([_trial(number, *span) for number, span in enumerate(spans)])
    assert minutes_taken(study) == pytest.approx(minutes)
