"""The end of a study on a function whose best settings are known, with noise and blocks."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import Trial, TrialState

from optimizer.attributes import LOST, SCORES, Replication, replication_of
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import ranking
from optimizer.samplers.baselines import SAMPLERS, create_sampler
from optimizer.samplers.replicating import Replicating

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}
SEARCH, BLOCKS, NOISE = 8, 6, 0.3


def _study(name: str = SAMPLERS[0], leaders: int = 2, path: str | None = None) -> optuna.Study:
    sampler = Replicating(create_sampler(name, space=SPACE), SEARCH, Encoding(SPACE), leaders)
    return optuna.create_study(direction="maximize", sampler=sampler, storage=path)


def _tell(study: optuna.Study, trial: Trial) -> None:
    """Scores of a trial, in blocks of its own time."""
    replication = replication_of(study.trials[trial.number])
    number = 0 if replication is None else replication.number
    noise = np.random.default_rng([trial.number, number]).normal(0, NOISE, BLOCKS)
    scores = {f"{block}:{number}": float(trial.params["x"] + noise[block]) for block in range(BLOCKS)}
    trial.set_user_attr(SCORES, scores)
    study.tell(trial, float(np.mean(list(scores.values()))))


def _next_replication(study: optuna.Study) -> Replication | None:
    """What the next trial replicates; it is left running."""
    trial = study.ask(SPACE)
    return replication_of(study.trials[trial.number])


def _searched(name: str = SAMPLERS[0], leaders: int = 2, path: str | None = None) -> optuna.Study:
    study = _study(name, leaders, path)
    for _ in range(SEARCH):
        _tell(study, study.ask(SPACE))
    return study


@pytest.mark.parametrize("name", ["gp", "random"])
def test_the_best_settings_are_tried_again_in_turn(name: str) -> None:
    study = _searched(name)
    assert all(replication_of(trial) is None for trial in study.trials)
    for time in (1, 2):
        best = ranking(observe(study, study.trials, Encoding(SPACE)))[:2]
        for _ in range(2):
            trial = study.ask(SPACE)
            replication = replication_of(study.trials[trial.number])
            assert replication is not None
            assert replication.number == time
            assert replication.trial in best or time == 2
            assert trial.params == study.trials[replication.trial].params
            _tell(study, trial)
    again = Counter(replication.trial for trial in study.trials if (replication := replication_of(trial)))
    assert max(again.values()) <= 2


def test_a_repetition_adds_blocks_to_the_first_of_its_settings() -> None:
    study = _searched()
    before = observe(study, study.trials, Encoding(SPACE))
    trial = study.ask(SPACE)
    _tell(study, trial)
    replication = replication_of(study.trials[trial.number])
    assert replication is not None
    after = observe(study, study.trials, Encoding(SPACE))
    assert after.numbers == before.numbers
    row = after.numbers.index(replication.trial)
    both = [*study.trials[replication.trial].user_attrs[SCORES].values(), *study.trials[-1].user_attrs[SCORES].values()]
    assert float(after.Y[row, 0]) == pytest.approx(np.mean(both))
    assert after.Yvar is not None
    others = [k for k in range(len(after.numbers)) if k != row]
    assert after.Yvar[others, 0].tolist() == pytest.approx([2 * float(after.Yvar[row, 0])] * len(others))


def test_those_who_ask_at_once_repeat_different_settings(tmp_path: Path) -> None:
    study = _searched(leaders=4, path=f"sqlite:///{tmp_path / 'study.db'}")
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda _: study.ask(SPACE), range(4)))
    replicates = [replication_of(study.trials[trial.number]) for trial in asked]
    assert len({replication.trial for replication in replicates if replication is not None}) == 4


def test_a_lost_repetition_is_made_again() -> None:
    study = _searched()
    lost = study.ask(SPACE)
    expected = replication_of(study.trials[lost.number])
    lost.set_user_attr(LOST, True)
    study.tell(lost, state=TrialState.FAIL)
    assert _next_replication(study) == expected


def test_a_repetition_that_fails_by_itself_is_not_made_again() -> None:
    study = _searched()
    failed = study.ask(SPACE)
    first = replication_of(study.trials[failed.number])
    study.tell(failed, state=TrialState.FAIL)
    assert first is not None
    second = _next_replication(study)
    assert second is not None
    assert second != first


def test_without_a_finished_trial_the_search_goes_on() -> None:
    study = _study()
    for _ in range(SEARCH):
        study.tell(study.ask(SPACE), state=TrialState.PRUNED)
    assert _next_replication(study) is None


def test_parameters_that_are_asked_for_one_by_one_are_repeated_too() -> None:
    study = _searched()
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])  # new since
    replication = replication_of(study.trials[trial.number])
    assert replication is not None
    assert x == study.trials[replication.trial].params["x"]
    assert kind in ("a", "b")
