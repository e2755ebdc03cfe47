"""No state of the page has a serious finding of axe-core, in light or dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from experiments.studio.history.records import Mark
from tests.experiments.studio.serving import Served
from tests.experiments.studio.web.page import PATIENCE, advance, begin

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]

AXE = Path(__file__).parents[3] / "vendor" / "axe-core" / "axe.min.js"


@pytest.fixture
def page(browser: Browser, studio: Served) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(studio.url)
    page.add_script_tag(path=AXE)
    yield page
    context.close()


def findings(page: Page) -> list[str]:
    """What is serious or worse, with the elements that have it, in light and dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        violations = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        found += [
            f"{scheme}: {each['id']}: {[node['html'][:200] for node in each['nodes']]}"
            for each in violations
            if each["impact"] in ("serious", "critical")
        ]
    return found


def test_no_state_has_a_serious_finding(page: Page, studio: Served) -> None:
    expect(page.locator("#studio-next")).to_be_enabled()
    page.locator(".making summary").click()
    assert findings(page) == []  # nothing there yet
    begin(page)
    page.locator(".card .like").first.click()
    page.locator(".card .star").nth(3).click()
    page.locator(".card .best").first.click()
    studio.session.append(Mark(rater="Bob", image=studio.session.state.rounds[0][1].id, sign="disliked"))
    expect(page.locator(".note.disliked")).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("u")
    expect(page.locator(".message")).to_be_visible()
    assert findings(page) == []
    advance(page, 2)
    page.locator(".round").first.click()
    page.locator(".go-on").click()
    expect(page.locator(".tip")).to_be_visible()
    assert findings(page) == []
    page.locator(".card .frame").first.click()
    expect(page.locator("#studio-viewer")).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("c")
    expect(page.locator(".over")).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("c")
    page.keyboard.press("i")
    for fold in page.locator("#studio-details summary").all():
        fold.click()
    page.locator("#studio-details .artifact_points").click()
    page.locator("#studio-details .canvas img").first.click()
    expect(page.locator(".point")).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#studio-gallery .thumb").first).to_be_visible()
    assert findings(page) == []
