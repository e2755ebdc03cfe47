"""What people are shown of a run's trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from experiments.people.choices import StudyChoices
from experiments.people.queue import next_turn
from experiments.people.trial_looks import LOOKS, Named, TrialLooks
from objectives.testing import sample_images

NAMES = [f"{prompt}-{place}" for prompt in range(2) for place in range(3)]


@pytest.fixture
def study() -> Study:
    return optuna.create_study(direction="maximize")


def _images(number: int) -> Named:
    pictures = sample_images(len(NAMES), (16, 16), seed=number)
    return {name: (f"prompt {name[0]}", picture) for name, picture in zip(NAMES, pictures, strict=True)}


def _options(trial: Trial) -> list[Mapping[str, list[object]]]:
    return [look["options"] for look in trial.user_attrs[LOOKS]]


def _answered(study: Study, looks: TrialLooks, leader: int | None = None) -> Trial:
    """A trial whose images win wherever they are shown."""
    trial = study.ask()
    for look in looks.unanswered(study, trial, _images(trial.number), leader):
        own = next(options for options in trial.user_attrs[LOOKS] if options["look"] == look)["options"]
        looks.choices.add(look, "ann", next(item for item, option in own.items() if option[0] == trial.number))
    assert looks.unanswered(study, trial, _images(trial.number), leader) == []
    study.tell(trial, looks.chosen(trial)[1])
    return trial


@pytest.mark.parametrize("count", [2, 3])
def test_images_are_shown_beside_those_of_one_name_by_others_the_leader_in_every_other_look(
    study: Study, tmp_path: Path, count: int
) -> None:
    looks = TrialLooks(StudyChoices(study, tmp_path), count, 4)
    first = _answered(study, looks)
    assert (_options(first), study.trials[0].value) == ([], 0.5)  # there is nothing to compare it with
    for _ in range(4):
        _answered(study, looks, leader=2)
    last = _answered(study, looks, leader=2)
    shown = _options(last)
    assert len(shown) == 4
    for options in shown:
        numbers, names = zip(*options.values(), strict=True)
        assert len(set(numbers)) == count
        assert last.number in numbers
        assert len(set(names)) == 1
    assert all(2 in [option[0] for option in options.values()] for options in shown[::2])
    choices, share = looks.chosen(last)
    assert share == 1
    assert sorted(choice[0][0] for choice in choices) == [last.number] * 4
    assert all(len(choice) == count for choice in choices)


def test_ties_are_half_a_win_and_no_choice_and_equal_images_are_not_shown(study: Study, tmp_path: Path) -> None:
    looks = TrialLooks(StudyChoices(study, tmp_path), 2, 6)
    _answered(study, looks)
    again = study.ask()
    assert looks.unanswered(study, again, _images(0), None) == []
    other = study.ask()
    for look in looks.unanswered(study, other, _images(7), None):
        looks.choices.add(look, "ann", None)
    assert looks.chosen(other) == ([], 0.5)


def test_what_was_asked_stays_and_is_not_asked_of_a_trial_that_is_lost(study: Study, tmp_path: Path) -> None:
    looks = TrialLooks(StudyChoices(study, tmp_path), 2, 6)
    _answered(study, looks)
    trial = study.ask()
    asked = looks.unanswered(study, trial, _images(trial.number), None)
    assert len(asked) == 6
    again = TrialLooks(StudyChoices(study, tmp_path), 2, 6)
    assert again.unanswered(study, Trial(study, trial._trial_id), _images(trial.number), 0) == asked
    assert next_turn(again.choices, "ann", 0.0).left == 6
    again.close_lost(study)
    assert next_turn(again.choices, "ann", 0.0).left == 6
    study.tell(trial, state=TrialState.FAIL)
    again.close_lost(study)
    assert next_turn(again.choices, "ann", 0.0).left == 0
