"""How images are made, said on the page, and prompts of before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.experiments.studio.serving import Served
from tests.experiments.studio.web.page import advance, begin, settle

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


def test_variations_of_an_image_are_a_click_away(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    page.locator("#studio-prompt-text").fill("a green square")
    advance(page, 2)
    varied = session.state.rounds[0][1]
    page.locator(".round").first.click()
    page.locator(".card .more").nth(1).click()
    page.get_by_role("button", name="Variations of this").click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".round[aria-current]")).to_have_text("3")
    expect(page.locator("#studio-prompt-text")).to_have_value("a red circle")
    made = session.state.rounds[2]
    assert [(image.prompt, image.params) for image in made] == [(varied.prompt, varied.params)] * 2
    expect(page.locator(".following")).to_have_count(0)
    assert session.state.wish is None


def test_images_steps_size_and_seed_are_said_on_the_page(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    page.locator(".making summary").click()
    for name, value in (("images", "3"), ("width", "64"), ("seed", "12345678901234567")):
        page.locator(f"[name={name}]").fill(value)
        page.locator(f"[name={name}]").press("Tab")
    page.locator("[name=height]").fill("30")
    page.locator("[name=height]").press("Tab")
    expect(page.locator("#studio-messages")).to_contain_text("Height: ")
    expect(page.locator("[name=height]")).to_have_value("32")
    page.locator("#studio-prompt-text").fill("a green square")
    advance(page, 2)
    expect(page.locator(".card")).to_have_count(3)
    made = session.state.rounds[1]
    assert [image.seed for image in made] == [12345678901234567 + place for place in range(3)]
    assert session.pictures.read(made[0].id).size == (64, 32)
    page.get_by_role("button", name="As at the start").click()
    settle(lambda: session.state.making is not None and session.state.making.images is None)
    expect(page.locator("[name=images]")).to_have_value("2")

    page.locator(".card .more").first.click()
    page.get_by_text("Settings of this image").click()
    page.locator("dialog .lock-seed").click()
    settle(lambda: session.state.making is not None and session.state.making.seed == "12345678901234567")
    page.keyboard.press("Escape")
    page.locator(".earlier summary").click()
    page.get_by_role("button", name="a red circle").click()
    expect(page.locator("#studio-prompt-text")).to_have_value("a red circle")
    expect(page.locator(".earlier li").first).to_be_hidden()
