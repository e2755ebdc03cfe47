from __future__ import annotations

import optuna
import pytest
from optuna.distributions import FloatDistribution

from optimizer.choices import add_choice, choices_of, withdraw


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for _ in range(6):
        study.ask({"x": FloatDistribution(0.0, 1.0)})
    return study


def test_choices_are_read_in_the_order_they_were_made(study: optuna.Study) -> None:
    add_choice(study, [0, 1, 2], 1, rater="ann")
    add_choice(study, [3, 4], None)
    found = choices_of(study)
    assert [(each.options, each.chosen, each.rater) for each in found] == [((0, 1, 2), 1, "ann"), ((3, 4), None, "")]


def test_nothing_is_overwritten(study: optuna.Study) -> None:
    first, second = add_choice(study, [0, 1], 1), add_choice(study, [0, 1], 1)
    before = study.user_attrs
    withdraw(study, first)
    withdraw(study, first)
    assert [each.key for each in choices_of(study)] == [second]
    assert before.items() <= study.user_attrs.items()
    assert len(study.user_attrs) == 4


def test_what_cannot_be_is_named(study: optuna.Study) -> None:
    for options in ([0], [0, 0], [0, 6]):
        with pytest.raises(ValueError, match=r"options: .* allowed: two or more different trials of the study"):
            add_choice(study, options, 0)
    with pytest.raises(ValueError, match="chosen: 3 was not shown; allowed: 0, 1"):
        add_choice(study, [0, 1], 3)
    with pytest.raises(ValueError, match="choice: 'no' is unknown"):
        withdraw(study, "no")
