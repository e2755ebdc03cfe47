from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import combinations

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optimizer.attributes import LOST
from optimizer.samplers.gp import GaussianProcessSampler
from optimizer.samplers.known_first import place_of
from optimizer.samplers.proposals import is_own, params_of

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
FIRST = [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}, {"x": 0.5, "y": 0.6}]
START = datetime(2026, 1, 1)
STUDY = optuna.create_study()


def _trials(*spans: tuple[int, int | None, TrialState]) -> list[FrozenTrial]:
    """Trials of (beginning, end, state), in seconds."""
    return [
        FrozenTrial(
            number=number,
            state=state,
            value=None,
            datetime_start=START + timedelta(seconds=began),
            datetime_complete=None if ended is None else START + timedelta(seconds=ended),
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=number,
        )
        for number, (began, ended, state) in enumerate(spans)
    ]


def _places(*spans: tuple[int, int | None, TrialState]) -> list[int]:
    trials = _trials(*spans)
    return [place_of(STUDY, trial, trials) for trial in trials]


FAIL, RUNNING, COMPLETE = TrialState.FAIL, TrialState.RUNNING, TrialState.COMPLETE


def test_a_failed_trials_place_is_given_again() -> None:
    assert _places((0, 1, COMPLETE), (1, 2, FAIL), (2, 3, COMPLETE), (3, 4, COMPLETE)) == [0, 1, 1, 2]


def test_two_workers_never_have_one_place() -> None:
    assert _places((0, 5, FAIL), (1, 9, COMPLETE), (6, None, RUNNING), (7, None, RUNNING)) == [0, 1, 0, 2]


def test_what_fails_twice_is_passed_over() -> None:
    assert _places((0, 1, FAIL), (1, 2, FAIL), (2, 3, FAIL), (3, 4, FAIL), (4, 5, COMPLETE)) == [0, 0, 1, 1, 2]


def test_a_place_is_not_passed_over_because_its_workers_were_killed() -> None:
    trials = _trials((0, 1, FAIL), (1, 2, FAIL), (2, 3, FAIL), (3, 4, FAIL), (4, 5, COMPLETE))
    for trial in trials[:3]:
        trial.set_user_attr(LOST, True)
    assert [place_of(STUDY, trial, trials) for trial in trials] == [0, 0, 0, 0, 0]


def _value(trial: optuna.trial.Trial) -> float:
    return -((trial.params["x"] - 0.3) ** 2) - trial.params["y"]


def _params(lost: set[int], count: int) -> list[dict[str, float]]:
    """Settings of trials that told something."""
    sampler = GaussianProcessSampler(first=FIRST, space=SPACE, design=3, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while len(study.get_trials(states=[COMPLETE])) < count:
        trial = study.ask(SPACE)
        if trial.number in lost:
            trial.set_user_attr(LOST, True)
            study.tell(trial, state=FAIL)
        else:
            study.tell(trial, _value(trial))
    return [trial.params for trial in study.get_trials(states=[COMPLETE])]


@pytest.mark.slow
def test_a_run_whose_workers_were_killed_is_the_unbroken_run() -> None:
    whole = _params(set(), 9)
    assert whole[:3] == FIRST
    for broken, once in zip(_params({1, 5, 8}, 9), whole, strict=True):
        assert broken == pytest.approx(once, abs=1e-3)


def test_a_known_setting_out_of_range_is_named() -> None:
    study = optuna.create_study(sampler=GaussianProcessSampler(first=[{"x": 2.0}], space=SPACE))
    with pytest.raises(ValueError, match=r"known settings 0: x: 2\.0 is out of range; allowed: Float"):
        study.ask(SPACE)


def test_trials_that_others_enqueue_or_add_take_no_place() -> None:
    sampler = GaussianProcessSampler(first=FIRST, space=SPACE, design=3, seed=0)
    elsewhere = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(2):
        elsewhere.tell(elsewhere.ask(SPACE), 0.0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(elsewhere.trials)
    study.add_trial(optuna.create_trial(params={"x": 0.9, "y": 0.9}, distributions=dict(SPACE), value=1.0))
    study.enqueue_trial({"x": 0.7, "y": 0.7})
    asked = [study.ask(SPACE) for _ in range(4)]
    assert [trial.params for trial in asked] == [{"x": 0.7, "y": 0.7}, *FIRST]
    assert [is_own(study, trial) for trial in study.trials] == [False] * 4 + [True] * 3


def test_a_proposal_is_known_before_its_parameters_are_asked_for() -> None:
    sampler = GaussianProcessSampler(first=FIRST, space=SPACE, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.ask()
    trial = study.trials[0]
    space = sampler.infer_relative_search_space(study, trial)
    sampler.sample_relative(study, trial, space)
    assert params_of(study.trials[0], SPACE) == FIRST[0]
    assert study.trials[0].params == {}


@pytest.mark.slow
def test_workers_that_ask_at_the_same_moment_are_as_far_apart_as_in_turn() -> None:
    def batch(together: bool) -> list[dict[str, float]]:
        sampler = GaussianProcessSampler(space=SPACE, design=4, seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for _ in range(5):
            trial = study.ask(SPACE)
            study.tell(trial, _value(trial))
        with ThreadPoolExecutor(4 if together else 1) as workers:
            return [trial.params for trial in workers.map(lambda _: study.ask(SPACE), range(4))]

    def closest(settings: list[dict[str, float]]) -> float:
        return min(abs(a["x"] - b["x"]) + abs(a["y"] - b["y"]) for a, b in combinations(settings, 2))

    assert closest(batch(True)) == pytest.approx(closest(batch(False)), abs=0.02)
    assert closest(batch(True)) > 0.05
