"""Studies that were made before the attributes had their present names say the same as new ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from optimizer.attributes import LOST, SCORES, STANDARD_ERROR, read_attribute
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.samplers.gp import GaussianProcessSampler
from optimizer.samplers.known_first import place_of

FORMER = {
    SCORES: "fabric-bo:scores",
    STANDARD_ERROR: "fabric-bo:standard-error",
    LOST: "fabric-bo:lost",
}
SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


def _trial(key: str, attribute: object, x: float, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    value = -((x - 0.4) ** 2) if state == TrialState.COMPLETE else None
    attributes = {key: attribute}
    return create_trial(state=state, value=value, params={"x": x}, distributions=dict(SPACE), user_attrs=attributes)


def _scored(key: str) -> list[FrozenTrial]:
    """Five trials in blocks a and b, the last of which was stopped after a."""
    whole = [_trial(key, {"a": x, "b": 2 - (x - 0.4) ** 2}, x) for x in (0.1, 0.3, 0.6, 0.8)]
    return [*whole, _trial(key, {"a": 0.2}, 0.95, TrialState.PRUNED)]


def _uncertain(key: str) -> list[FrozenTrial]:
    return [_trial(key, error, x) for error, x in ((0.1, 0.1), (0.2, 0.3), (0.4, 0.6), (0.1, 0.8))]


def _stored(path: Path, trials: list[FrozenTrial]) -> optuna.Study:
    """A study that was written to disk and is read again."""
    url = f"sqlite:///{path}"
    optuna.create_study(study_name="run", storage=url, direction="maximize").add_trials(trials)
    return optuna.load_study(
        study_name="run", storage=url, sampler=GaussianProcessSampler(space=SPACE, design=2, seed=0)
    )


@pytest.mark.parametrize(("key", "trials"), [(SCORES, _scored), (STANDARD_ERROR, _uncertain)])
def test_an_old_study_is_observed_and_continued_as_a_new_one(
    tmp_path: Path, key: str, trials: Callable[[str], list[FrozenTrial]]
) -> None:
    old, new = _stored(tmp_path / "old.db", trials(FORMER[key])), _stored(tmp_path / "new.db", trials(key))
    before, after = (observe(study, study.trials, Encoding(SPACE)) for study in (old, new))
    assert before.numbers == after.numbers == list(range(len(new.trials)))
    assert torch.equal(before.X, after.X)
    assert torch.equal(before.Y, after.Y)
    assert before.Yvar is not None
    assert after.Yvar is not None
    assert torch.equal(before.Yvar, after.Yvar)
    assert old.ask(SPACE).params == new.ask(SPACE).params


def test_trials_of_a_study_that_was_continued_count_together() -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trials([*_scored(FORMER[SCORES]), *_scored(SCORES)])
    found = observe(study, study.trials, Encoding(SPACE))
    assert found.numbers == list(range(10))
    assert found.Y[:5].tolist() == found.Y[5:].tolist()


@pytest.mark.parametrize("key", [LOST, FORMER[LOST]])
def test_the_place_of_a_trial_that_was_lost_is_given_again(key: str) -> None:
    start = datetime(2026, 1, 1)
    trials = [_trial(key, True, 0.5, TrialState.FAIL) for _ in range(3)]
    for number, trial in enumerate(trials):
        trial.number = number
        trial.datetime_start = start + timedelta(seconds=2 * number)
        trial.datetime_complete = start + timedelta(seconds=2 * number + 1)
    assert [place_of(optuna.create_study(), trial, trials) for trial in trials] == [0, 0, 0]


def test_the_present_name_wins_and_a_missing_attribute_is_none() -> None:
    trial = _trial(SCORES, {"a": 1.0}, 0.5)
    trial.set_user_attr(FORMER[SCORES], {"a": 2.0})
    assert read_attribute(trial, SCORES) == {"a": 1.0}
    assert read_attribute(trial, STANDARD_ERROR) is None
