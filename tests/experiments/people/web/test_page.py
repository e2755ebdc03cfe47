"""The rating page in a real browser."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from playwright.sync_api import Page, expect

from experiments.people.ratings import StudyRatings
from objectives.base import UnratedError
from objectives.testing import sample_images
from tests.browser import cut_off, restore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


@pytest.fixture
def ratings(tmp_path: Path) -> StudyRatings:
    found = StudyRatings(optuna.create_study(), tmp_path)
    _ask(found, 3)
    return found


def _ask(ratings: StudyRatings, count: int, seed: int = 0) -> None:
    for picture in sample_images(count, seed=seed):
        with pytest.raises(UnratedError):
            ratings.mean(picture, "a red star <b>at night</b>")


@pytest.fixture
def questions(ratings: StudyRatings) -> StudyRatings:
    return ratings


def _begin(page: Page, name: str = "ann") -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Start rating").click()
    expect(page.get_by_text("0 rated, 3 to go")).to_be_visible()


def test_buttons_and_keys_rate_one_image_after_the_other(page: Page, ratings: StudyRatings) -> None:
    _begin(page)
    expect(page.get_by_text("0 rated, 3 to go")).to_be_visible()
    expect(page.get_by_text("a red star <b>at night</b>")).to_be_visible()  # as it was written
    assert page.locator("#picture").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.get_by_role("button", name="4 of 5 stars, good").click()
    expect(page.get_by_text("1 rated, 2 to go")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_text("2 rated, 1 to go")).to_be_visible()
    page.keyboard.press("5")
    expect(page.get_by_role("heading", name="Nothing to rate at the moment")).to_be_visible()
    ratings.refresh()
    assert [(each.rater, each.stars) for each in ratings.ratings] == [("ann", 4), ("ann", 2), ("ann", 5)]


def test_new_images_appear_by_themselves(page: Page, ratings: StudyRatings) -> None:
    _begin(page)
    for count in (1, 2, 3):
        page.keyboard.press("3")
        expect(page.locator("#count")).to_contain_text(f"{count} rated")
    expect(page.get_by_role("heading", name="Nothing to rate at the moment")).to_be_visible()
    _ask(ratings, 1, seed=5)
    expect(page.get_by_text("3 rated, 1 to go")).to_be_visible()


def test_without_a_name_nothing_begins_and_it_is_remembered(page: Page) -> None:
    page.get_by_role("button", name="Start rating").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter your name first")
    _begin(page, "ben")
    expect(page.get_by_text("0 rated, 3 to go")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Your name")).to_have_value("ben")


def test_two_people_rate_apart(page: Page, ratings: StudyRatings) -> None:
    ratings.needed = 2
    _begin(page)
    page.keyboard.press("1")
    expect(page.get_by_text("1 rated, 2 to go")).to_be_visible()
    page.get_by_label("Your name").fill("eve")
    page.get_by_label("Your name").blur()
    expect(page.get_by_text("0 rated, 3 to go")).to_be_visible()
    page.locator("body").press("5")
    expect(page.get_by_text("1 rated, 2 to go")).to_be_visible()
    ratings.refresh()
    assert {(each.rater, each.stars) for each in ratings.ratings} == {("ann", 1), ("eve", 5)}


def test_a_rating_that_is_not_saved_is_said(page: Page, ratings: StudyRatings) -> None:
    _begin(page)
    expect(page.get_by_text("0 rated, 3 to go")).to_be_visible()
    cut_off(page)
    page.keyboard.press("4")
    expect(page.get_by_role("alert")).to_contain_text("Not saved")
    restore(page)
    page.keyboard.press("4")
    expect(page.get_by_text("1 rated, 2 to go")).to_be_visible()
    ratings.refresh()
    assert len(ratings.ratings) == 1
