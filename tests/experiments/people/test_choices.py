"""Looks that people choose from: asked once, shown in random order, kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
import pytest

from experiments.people.choices import LookChoice, StudyChoices, chooser_figures, first_choices
from experiments.people.queue import next_turn
from objectives.testing import sample_images


@pytest.fixture
def choices(tmp_path: Path) -> StudyChoices:
    return StudyChoices(optuna.create_study(), tmp_path)


def _ask(choices: StudyChoices, count: int, purpose: str = "a trial") -> list[str]:
    items = [choices.keep(picture, "a star") for picture in sample_images(2 * count, (16, 16))]
    return [choices.ask("a star", items[k : k + 2], purpose, tie=True) for k in range(0, 2 * count, 2)]


def test_equal_looks_are_asked_once_and_the_order_of_options_does_not_matter(choices: StudyChoices) -> None:
    (look,) = _ask(choices, 1)
    assert choices.ask("a star", choices.looks[look].options[::-1], "a trial", tie=True) == look
    assert choices.ask("a star", choices.looks[look].options, "another trial", tie=True) != look
    assert choices.left() == 2


def test_each_image_is_on_either_side_for_half_of_the_people(choices: StudyChoices) -> None:
    (look,) = _ask(choices, 1)
    shown = [choices.shown(look, f"rater {k}")["look"] for k in range(200)]
    assert set(shown[0]) == {"id", "prompt", "options", "tie"}  # nothing of trials or settings
    left = Counter(each["options"][0] for each in shown)
    assert min(left.values()) >= 70
    assert choices.shown(look, "ann") == choices.shown(look, "ann")


def test_what_is_closed_is_not_asked_any_more_but_an_answer_under_way_is_kept(choices: StudyChoices) -> None:
    looks = _ask(choices, 3)
    turn = next_turn(choices, "ann", 0.0)
    assert turn.question in looks
    choices.close("a trial")
    assert next_turn(choices, "ann", 0.0).question is None
    again = StudyChoices(choices.study, choices.output)
    assert again.left() == 0
    again.add(turn.question or "", "ann", None)
    assert again.choices == [LookChoice(turn.question or "", "ann", None)]


def test_the_first_choice_counts_and_others_tell_how_steady_somebody_is() -> None:
    said = [
        LookChoice("x", "ann", "a"),
        LookChoice("x", "ben", "b"),
        LookChoice("x", "ann", "b"),
        LookChoice("y", "ann", None),
    ]
    assert first_choices(said) == [said[0], said[1], said[3]]
    ann, ben = chooser_figures(said)["ann"], chooser_figures(said)["ben"]
    assert (ann.given, ann.agreement, ann.repeats, ann.steadiness) == (3, 0, 1, 0)
    assert ann.ties == pytest.approx(1 / 3)
    assert (ben.given, ben.agreement, ben.steadiness) == (1, 0, None)


@pytest.mark.parametrize(
    ("look", "rater", "chosen", "message"),
    [
        ("x", "ann", None, r"look: 'x' is unknown; allowed: one that the page showed"),
        (None, "", None, r"rater: ''; allowed: a name of 1 to 60 characters"),
        (None, "ann", "x", r"chosen: 'x' is unknown; allowed: one of the images"),
    ],
)
def test_what_is_no_choice_is_refused(
    choices: StudyChoices, look: str | None, rater: str, chosen: str | None, message: str
) -> None:
    (asked,) = _ask(choices, 1)
    with pytest.raises(ValueError, match=message):
        choices.add(look or asked, rater, chosen)
    items = choices.looks[asked].options
    sure = choices.ask("a star", items, "must", tie=False)
    with pytest.raises(ValueError, match="chosen: null; allowed: one of the images"):
        choices.add(sure, "ann", None)
    assert not choices.choices
