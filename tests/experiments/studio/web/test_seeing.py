"""What the page shows of a round while and after it is made: previews, cancel, full size, undo and redo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from experiments.studio.history.records import Mark
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from fabric.generator import FabricGenerator
from tests.experiments.studio.serving import Served, served
from tests.experiments.studio.web.page import advance, begin, settle

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


def test_a_round_is_seen_while_it_is_made_and_can_be_cancelled(
    fabric: FabricGenerator, tmp_path: Path, visit: Callable[[str], Page]
) -> None:
    name = "<img src=x onerror=alert(1)>"
    options = StudioOptions(folder=tmp_path / "s", steps=900, images=2, size=(32, 32), study=name)
    session = StudioSession.open(options, fabric)
    with served(session) as studio:
        page = visit(studio.url)
        expect(page.locator("#studio-head p")).to_have_text(name)  # text, whatever it is
        expect(page.locator("#studio-next")).to_be_enabled()
        page.locator("#studio-welcome .plain").first.click()  # an example
        preview = page.locator(".previews img").first
        settle(lambda: bool(preview.evaluate("image => image.complete && image.naturalWidth > 0")))
        expect(page.locator("#studio-progress [role=status]")).to_contain_text("left")
        page.locator(".cancel").click()
        expect(page.locator("#studio-next")).to_be_enabled()
        expect(page.locator(".previews")).to_have_count(0)
        expect(page.locator("#studio-messages")).to_be_hidden()  # nothing is wrong
    assert session.state.rounds == ()
    assert session.state.prompt is not None
    assert list(session.pictures.folder.glob("*")) == []


def test_images_in_full_size_have_their_neighbours_a_key_away(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    images = [each.id for each in session.state.rounds[0]]
    page.locator(".card .frame").first.click()
    title = page.locator("#studio-viewer h2")
    expect(title).to_have_text("Round 1, image 1")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("Round 1, image 2")
    expect(page.locator("#studio-viewer .stage img")).to_have_attribute("src", f"pictures/{images[1]}")
    page.keyboard.press("ArrowRight")  # there is no other
    page.keyboard.press("d")
    settle(lambda: session.state.disliked == (images[1],))
    page.keyboard.press("i")
    expect(page.locator("#studio-details h2")).to_have_text("Round 1, image 2")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#studio-details h2")).to_have_text("Round 1, image 1")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_two_images_lie_over_each_other_with_a_slider(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    advance(page, 2)
    images = [each.id for images in session.state.rounds for each in images]
    page.locator(".card .frame").nth(1).click()
    page.keyboard.press("c")
    first, second = page.locator(".over .above"), page.locator(".over img:not(.above)")
    expect(first).to_have_attribute("src", f"pictures/{images[3]}")
    expect(second).to_have_attribute("src", f"pictures/{images[2]}")
    page.keyboard.press("ArrowLeft")
    expect(second).to_have_attribute("src", f"pictures/{images[1]}")
    page.locator(".others .thumb").first.click()
    expect(second).to_have_attribute("src", f"pictures/{images[0]}")
    slider = page.get_by_label("How much of the first image is shown")
    slider.focus()
    page.keyboard.press("ArrowLeft")  # moves the slider and chooses no other image
    expect(slider).to_have_value("49")
    expect(second).to_have_attribute("src", f"pictures/{images[0]}")
    assert first.evaluate("image => getComputedStyle(image).clipPath").startswith("inset(0px 51%")
    page.keyboard.press("d")  # nothing that is not seen is judged
    page.keyboard.press("c")
    expect(page.locator("#studio-viewer .stage img")).to_have_count(1)
    assert session.state.marks == {}


def test_redo_does_again_what_undo_took_back_and_goes_there(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    image = session.state.rounds[0][0].id
    page.locator(".card .like").first.click()
    page.locator("#studio-next").click()
    expect(page.locator(".round[aria-current]")).to_have_text("2")
    page.keyboard.press("u")
    expect(page.locator("#studio-messages")).to_contain_text("Undone: like of image 1 of round 1")
    expect(page.locator(".round[aria-current]")).to_have_text("1")  # where it was done
    settle(lambda: session.state.liked == ())
    expect(page.locator(".tool.redo")).to_have_attribute("aria-label", "Redo: like of image 1 of round 1 (Shift+U)")
    page.keyboard.press("Shift+U")
    settle(lambda: session.state.liked == (image,))
    expect(page.locator(".card .like").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".tool.redo")).to_be_disabled()


def test_a_message_leaves_progress_in_sight_and_others_marks_are_seen(
    studio: Served, visit: Callable[[str], Page]
) -> None:
    page, session = visit(studio.url), studio.session
    expect(page.locator("#studio-next")).to_be_enabled()
    page.locator("#studio-next").click()
    expect(page.locator("#studio-messages [role=alert]")).to_contain_text("write what you want to see")
    expect(page.locator("#studio-progress")).not_to_contain_text("write what")
    begin(page)
    expect(page.locator("#studio-messages")).to_be_hidden()
    session.append(Mark(rater="Bob", image=session.state.rounds[0][1].id, sign="liked"))
    expect(page.locator(".card").nth(1).locator(".note.liked")).to_have_text("Bob likes it")
    expect(page.locator(".card").nth(1).locator(".like")).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".strip.liked figcaption")).to_have_text("Bob")
