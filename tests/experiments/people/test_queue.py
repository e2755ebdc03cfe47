"""Who rates what, and that nothing is lost or asked twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
import pytest

from experiments.people.queue import next_turn
from experiments.people.ratings import StudyRatings, item_id
from objectives.base import UnratedError
from objectives.testing import sample_images


@pytest.fixture
def ratings(tmp_path: Path) -> StudyRatings:
    return StudyRatings(optuna.create_study(), tmp_path)


def _ask(ratings: StudyRatings, count: int, seed: int = 0) -> list[str]:
    pictures = sample_images(count, (16, 16), seed)
    for picture in pictures:
        with pytest.raises(UnratedError):
            ratings.mean(picture, "a star")
    return [item_id(picture, "a star") for picture in pictures]


def test_equal_images_are_asked_for_once_and_unequal_prompts_apart(ratings: StudyRatings) -> None:
    (picture,) = sample_images(1)
    for prompt in ("a star", "a star", "a ring"):
        with pytest.raises(UnratedError):
            ratings.mean(picture.copy(), prompt)
    assert sorted(item.prompt for item in ratings.items) == ["a ring", "a star"]
    ratings.add(item_id(picture, "a star"), "ann", 4)
    assert ratings.mean(picture, "a star") == pytest.approx(4)


def test_a_person_rates_every_image_once_in_an_order_of_his_own(ratings: StudyRatings) -> None:
    asked = _ask(ratings, 12)
    ratings.needed = 2
    orders = {}
    for rater in ("ann", "ben"):
        seen = list[str]()
        while (turn := next_turn(ratings, rater, 0.0)).question is not None:
            assert next_turn(ratings, rater, 0.0) == turn  # until it is rated
            assert turn.given == len(seen)
            assert turn.left == 12 - len(seen)
            seen.append(turn.question)
            ratings.add(turn.question, rater, 3)
        orders[rater] = seen
    assert sorted(orders["ann"]) == sorted(orders["ben"]) == sorted(asked)
    assert orders["ann"] != orders["ben"]
    assert orders["ann"] != asked
    assert ratings.left() == 0
    assert next_turn(ratings, "eve", 0.0).question is None


def test_what_comes_in_meanwhile_does_not_change_the_image_on_the_screen_by_being_there(ratings: StudyRatings) -> None:
    """It changes only where the new one comes before it in the random order."""
    _ask(ratings, 30)
    before = next_turn(ratings, "ann", 0.0).question
    new = set(_ask(ratings, 3, seed=9))
    after = next_turn(ratings, "ann", 0.0).question
    assert after is not None
    assert after == before or after in new


def test_some_are_shown_again_long_after_and_twice_at_most(ratings: StudyRatings) -> None:
    _ask(ratings, 80)
    shown = list[str]()
    while (item := next_turn(ratings, "ann", 0.2).question) is not None:
        if item in shown:
            assert item not in shown[-4:]
        shown.append(item)
        ratings.add(item, "ann", 3)
    counts = Counter(shown)
    assert set(counts.values()) == {1, 2}
    assert 8 <= sum(count == 2 for count in counts.values()) <= 32  # a fifth of a hundred
    assert ratings.left() == 0


def test_another_process_sees_what_was_given(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url, study_name="run")
    ours = StudyRatings(study, tmp_path)
    theirs = StudyRatings(optuna.load_study(storage=url, study_name="run"), tmp_path)
    (asked,) = _ask(ours, 1)
    theirs.add(asked, " ann ", 5)
    assert not ours.is_answered(asked)
    ours.refresh()
    assert ours.is_answered(asked)
    assert [(each.rater, each.stars) for each in ours.ratings] == [("ann", 5)]


@pytest.mark.parametrize(
    ("item", "rater", "stars", "message"),
    [
        ("x", "ann", 3, r"item: 'x' is unknown; allowed: one that the page showed"),
        (None, "", 3, r"rater: ''; allowed: a name of 1 to 60 characters"),
        (None, "a" * 61, 3, r"rater: 'a+'; allowed: a name of 1 to 60 characters"),
        (None, "ann", 0, r"stars: 0; allowed: a whole number from 1 to 5"),
        (None, "ann", 6, r"stars: 6; allowed: a whole number from 1 to 5"),
        (None, "ann", True, r"stars: True; allowed: a whole number from 1 to 5"),
        (None, "ann", 2.5, r"stars: 2.5; allowed: a whole number from 1 to 5"),
    ],
)
def test_what_is_no_rating_is_refused(
    ratings: StudyRatings, item: str | None, rater: str, stars: int, message: str
) -> None:
    (asked,) = _ask(ratings, 1)
    with pytest.raises(ValueError, match=message):
        ratings.add(item or asked, rater, stars)
    assert not ratings.ratings
