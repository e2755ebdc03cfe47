"""Going on from an older round, on the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.experiments.studio.serving import Served
from tests.experiments.studio.web.page import advance, begin, settle

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


def test_a_session_goes_on_from_an_older_round_and_back(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    page.locator(".card .like").first.click()
    page.locator("#studio-prompt-text").fill("a green square")
    advance(page, 2)
    page.locator(".card .like").first.click()
    settle(lambda: len(session.state.liked) == 2)
    page.locator(".round").first.click()
    page.locator(".go-on").click()
    expect(page.locator(".tip")).to_contain_text("You go on from round 1")
    expect(page.locator("#studio-prompt-text")).to_have_value("a red circle")  # what that round showed
    expect(page.locator(".strip.liked figure")).to_have_count(1)
    advance(page, 2)
    trunk, own = session.state.made[1:]
    assert {image.liked for image in own} == {(session.state.rounds[0][0].id,)}
    assert not {image.seed for image in own} & {image.seed for images in session.state.made[:2] for image in images}
    assert {image.prompt for image in own} == {"a red circle"}

    page.locator(".line").first.click()
    expect(page.locator(f".card[data-image='{trunk[0].id}']")).to_be_visible()
    expect(page.locator("#studio-prompt-text")).to_have_value("a green square")
    expect(page.locator(".strip.liked figure")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator("#studio-messages")).to_contain_text("Undone: change to line 1")
    expect(page.locator(f".card[data-image='{own[0].id}']")).to_be_visible()
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#studio-gallery .row h3")).to_have_text(
        ["Round 2a red circle", "Round 1a red circle", "Round 2 on line 1a green square"]
    )
