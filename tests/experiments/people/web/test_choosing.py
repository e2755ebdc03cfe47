"""The rating page in a real browser, where people choose between images."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from playwright.sync_api import Page, expect

from experiments.people.choices import StudyChoices
from objectives.testing import sample_images
from tests.browser import cut_off

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


@pytest.fixture
def choices(tmp_path: Path) -> StudyChoices:
    return StudyChoices(optuna.create_study(), tmp_path)


def _ask(choices: StudyChoices, looks: int, options: int, *, tie: bool) -> None:
    items = [choices.keep(picture, "a <b>star</b>") for picture in sample_images(looks * options)]
    for k in range(looks):
        choices.ask("a <b>star</b>", items[k * options : (k + 1) * options], "a trial", tie=tie)


@pytest.fixture
def questions(choices: StudyChoices) -> StudyChoices:
    return choices


def _begin(page: Page, count: str) -> None:
    expect(page.get_by_role("heading", name="Which image is best?")).to_be_visible()
    page.get_by_label("Your name").fill("ann")
    page.get_by_role("button", name="Start rating").click()
    expect(page.get_by_text(count)).to_be_visible()
    page.locator("body").focus()


def _shown(page: Page, count: int) -> list[str]:
    """Ids of the images on the page, from left to right, all of them loaded and as large as each other."""
    images = page.locator(".option img")
    expect(images).to_have_count(count)
    boxes = images.evaluate_all("all => all.map((one) => [one.naturalWidth, one.clientWidth, one.clientHeight])")
    assert all(box == boxes[0] and box[0] == 64 and box[1] > 100 for box in boxes)
    return [source.rpartition("/")[2] for source in images.evaluate_all("all => all.map((one) => one.src)")]


def test_of_two_the_better_is_chosen_by_keys_arrows_and_clicks_or_none(page: Page, choices: StudyChoices) -> None:
    _ask(choices, 5, 2, tie=True)
    _begin(page, "0 chosen, 5 to go")
    expect(page.get_by_text("a <b>star</b>")).to_be_visible()
    expected = list[str | None]()
    for count, key in enumerate(["1", "ArrowRight", "0", "ArrowLeft"]):
        left, right = _shown(page, 2)
        expected.append({"1": left, "ArrowLeft": left, "ArrowRight": right}.get(key))
        page.keyboard.press(key)
        expect(page.get_by_text(f"{count + 1} chosen, {4 - count} to go")).to_be_visible()
    expected.append(_shown(page, 2)[1])
    page.get_by_role("button", name="Image 2 of 2").click()
    expect(page.get_by_role("heading", name="Nothing to rate at the moment")).to_be_visible()
    choices.refresh()
    assert [choice.chosen for choice in choices.choices] == expected
    assert {choice.rater for choice in choices.choices} == {"ann"}


def test_of_several_the_best_is_chosen_and_a_choice_must_be_made(page: Page, choices: StudyChoices) -> None:
    _ask(choices, 2, 4, tie=False)
    _begin(page, "0 chosen, 2 to go")
    third = _shown(page, 4)[2]
    expect(page.get_by_role("button", name="Can’t tell")).to_be_hidden()
    page.keyboard.press("0")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("3")
    expect(page.get_by_text("1 chosen, 1 to go")).to_be_visible()
    cut_off(page)
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_contain_text("Not saved")
    choices.refresh()
    assert [choice.chosen for choice in choices.choices] == [third]


@pytest.mark.parametrize(("width", "across"), [(390, 1), (1280, 2)])
def test_two_images_are_as_large_as_the_window_lets_them_be(
    page: Page, choices: StudyChoices, width: int, across: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    _ask(choices, 1, 2, tie=True)
    _begin(page, "0 chosen, 1 to go")
    _shown(page, 2)
    lefts = page.locator(".option").evaluate_all("all => all.map((one) => Math.round(one.getBoundingClientRect().x))")
    assert len(set(lefts)) == across
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
