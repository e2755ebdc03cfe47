"""The page in a real browser."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from experiments.files.pictures import read_facts
from experiments.studio.blind import BlindArm, BlindComparison, Side
from experiments.studio.history.records import Mark
from experiments.studio.options import StudioOptions
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from fabric.generator import FabricGenerator
from fabric.knobs import KNOBS
from fabric.params import FabricParams
from tests.experiments.studio.serving import Served, served
from tests.experiments.studio.test_predictions import always
from tests.experiments.studio.web.page import PATIENCE, advance, begin, settle
from tests.experiments.studio.web.test_uploads import encoded, png_header
from tests.processes import Child, command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


def test_a_session_from_prompt_to_export(studio: Served, visit: Callable[[str], Page], tmp_path: Path) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    first, second = page.locator(".card").nth(0), page.locator(".card").nth(1)
    first.locator(".like").click()
    page.keyboard.press("2")
    page.keyboard.press("d")
    page.keyboard.press("Shift+Digit2")
    page.keyboard.press("f")
    first.locator(".best").click()
    expect(first.locator(".best")).to_have_attribute("aria-pressed", "true")
    expect(second.locator(".dislike")).to_have_attribute("aria-pressed", "true")
    a, b = (each.id for each in session.state.rounds[0])
    settle(lambda: len(session.state.choices) == 1)
    assert session.state.marks["me"] == {a: "liked", b: "disliked"}
    assert session.state.ratings["me"] == {b: 2}
    assert session.state.favourites == (b,)
    assert session.state.choices[0].chosen == a

    page.locator("#studio-prompt-text").fill("a green square")
    advance(page, 2)
    made = session.state.rounds[1][0]
    assert (made.prompt, made.liked, made.disliked) == ("a green square", (a,), (b,))

    page.locator(".card .more").first.click()
    more_like = page.locator("dialog .more-like")
    for pressed in ("true", "false", "true"):  # a second click takes the first back
        more_like.click()
        expect(more_like).to_have_attribute("aria-pressed", pressed)
        settle(lambda pressed=pressed: (session.state.wish is not None) == (pressed == "true"))  # type: ignore[misc]
    strength = KNOBS["strength"]
    page.get_by_text("Settings of this image").click()
    expect(page.locator("dialog [data-knob=strength] small")).to_have_text(f"{strength.meaning} {strength.effect}")
    page.locator("dialog [data-knob=strength] .freeze").click()
    page.keyboard.press("Escape")
    settle(lambda: session.state.frozen != {} and session.state.wish is not None)
    assert session.state.frozen == {"strength": made.params.strength}

    page.locator(".round").first.click()  # a rating is changed later
    first.locator(".star").nth(4).click()
    settle(lambda: session.state.ratings["me"].get(a) == 5)

    page.get_by_role("tab", name="Gallery").click()
    with page.expect_download() as started:
        page.get_by_text("All as ZIP").click()
    pack = zipfile.ZipFile(started.value.path())
    pictures = [name for name in pack.namelist() if name.endswith(".png")]
    assert len(pictures) == 4
    pack.extract(pictures[-1], tmp_path)
    assert (read_facts(tmp_path / pictures[-1]) or {})["prompt"] == "a green square"
    with page.expect_download() as started:
        page.locator("#studio-gallery").get_by_text("Best settings").click()
    best = FabricParams.from_yaml(zipfile.ZipFile(started.value.path()).read("best.yaml").decode())
    assert best.strength == made.params.strength


def test_undo_takes_back_one_act_after_the_other(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    card = page.locator(".card").first
    card.locator(".star").nth(2).click()
    card.locator(".like").click()
    expect(page.locator(".tool.undo")).to_have_attribute("aria-label", "Undo: like of image 1 of round 1 (U)")
    page.locator(".tool.undo").click()
    expect(card.locator(".like")).to_have_attribute("aria-pressed", "false")
    settle(lambda: session.state.marks.get("me", {}) == {})
    page.keyboard.press("u")
    settle(lambda: session.state.ratings.get("me", {}) == {})
    expect(card.locator(".star.on")).to_have_count(0)


def test_uploads_good_and_bad(studio: Served, visit: Callable[[str], Page], tmp_path: Path) -> None:
    page, session = visit(studio.url), studio.session
    field = page.locator("#studio-upload-disliked")
    red = encoded(Image.new("RGB", (30, 30), "red"))
    field.set_input_files(FilePayload(name="../../etc/passwd.png", mimeType="image/png", buffer=red))
    expect(page.locator(".strip.disliked figure")).to_have_count(1)
    assert list(session.state.uploads.values()) == ["passwd.png"]
    for name, data, said in (
        ("notes.png", b"not an image", "not a picture"),
        ("bomb.png", png_header(20_000, 10_000), "megapixels"),
        ("large.png", bytes(50 * 2**20), "10 MB"),
    ):
        (tmp_path / name).write_bytes(data)
        page.locator("#studio-upload-disliked").set_input_files(tmp_path / name)
        expect(page.locator("#studio-messages")).to_contain_text(said)
    assert len(session.state.uploads) == 1


def test_two_tabs_lose_and_double_nothing(studio: Served, visit: Callable[[str], Page]) -> None:
    one = visit(studio.url)
    begin(one)
    other = one.context.new_page()
    other.goto(studio.url)
    expect(other.locator(".card")).to_have_count(2)
    expect(other.locator("#studio-prompt-text")).to_have_value("a red circle")  # a reload fills it in
    one.locator(".card .like").first.click()
    other.locator(".card .dislike").nth(1).click()
    for page in (one, other):
        expect(page.locator(".card .like").first).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".card .dislike").nth(1)).to_have_attribute("aria-pressed", "true")
    for page in (one, other):  # both ask for the next round at once
        page.evaluate("document.getElementById('studio-next').click()")
    for page in (one, other):
        expect(page.locator(".round")).to_have_count(2)
    studio.worker.wait(30)
    assert len(studio.session.state.rounds) == 2


def test_two_raters(studio: Served, visit: Callable[[str], Page]) -> None:
    ann, bob = visit(studio.url), visit(studio.url)
    for page, name in ((ann, "ann"), (bob, "bob")):
        page.locator("#studio-rater").fill(name)
        page.locator("#studio-rater").press("Enter")
    begin(ann)
    expect(bob.locator(".card")).to_have_count(2)
    ann.locator(".card").first.locator(".star").nth(0).click()
    bob.locator(".card").first.locator(".star").nth(4).click()
    expect(ann.locator(".card .mean").first).to_have_text("3.0 of 2")
    expect(ann.locator(".card").first.locator(".star.on")).to_have_count(1)
    image = studio.session.state.rounds[0][0].id
    assert studio.session.state.ratings == {"ann": {image: 1}, "bob": {image: 5}}
    bob.locator("#studio-rater").press("End")
    bob.locator("#studio-rater").press_sequentially("by")
    ann.locator(".card .like").first.click()
    expect(bob.locator(".note.liked")).to_contain_text("ann likes it")  # the page was drawn again
    expect(bob.locator("#studio-rater")).to_have_value("bobby")


def test_rich_feedback(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    page.locator(".card .more").first.click()
    page.locator("dialog .rich summary").click()
    for score in page.locator("dialog .score").all():
        score.locator("button").nth(1).click()
    page.locator("dialog .plain.artifact_points").click()
    page.locator("dialog .canvas img").click()
    page.locator("dialog .word").nth(1).click()
    page.locator("dialog .save").click()
    image = session.state.rounds[0][0].id
    settle(lambda: "me" in session.state.rich)
    rich = session.state.rich["me"][image]
    assert (rich.overall, rich.misaligned_words) == (2, (1,))
    assert rich.artifact_points[0] == pytest.approx((0.5, 0.5), abs=0.02)


def test_predictions_are_seen_and_taken_over(
    fabric: FabricGenerator, tmp_path: Path, visit: Callable[[str], Page]
) -> None:
    session = StudioSession.open(StudioOptions(folder=tmp_path / "s", steps=2, images=2, size=(32, 32)), fabric)
    with served(session, predicted=Predictions(always, session)) as studio:
        page = visit(studio.url)
        begin(page)
        expect(page.locator(".card .flag")).to_have_count(2)
        page.locator(".card .more").first.click()
        page.locator("dialog .rich summary").click()
        expect(page.locator("dialog .predicted")).to_contain_text("free of faults 2.6")
        page.locator("dialog .plain.map").first.click()
        overlay = page.locator("dialog .overlay")
        settle(lambda: bool(overlay.evaluate("image => image.naturalWidth === 64")))
        page.locator("dialog .take").click()
        image = session.state.rounds[0][0].id
        settle(lambda: "me" in session.state.rich)
        rich = session.state.rich["me"][image]
        assert (rich.plausibility, rich.misaligned_words, len(rich.artifact_points)) == (3, (1,), 2)
        expect(page.locator("dialog .point")).to_have_count(3)
        page.keyboard.press("Escape")
        page.get_by_role("tab", name="Gallery").click()
        page.locator(".ranked").click()
        expect(page.locator("#studio-gallery .guess")).to_have_count(2)


def test_details_take_keys_and_keep_what_was_begun(studio: Served, visit: Callable[[str], Page]) -> None:
    page, session = visit(studio.url), studio.session
    begin(page)
    image = session.state.rounds[0][0].id
    page.locator(".card .more").first.click()
    page.locator("dialog .rich summary").click()
    page.locator("dialog .score button").nth(2).click()
    page.keyboard.press("l")
    page.keyboard.press("Shift+Digit4")
    settle(lambda: session.state.ratings == {"me": {image: 4}})
    assert session.state.liked == (image,)
    page.keyboard.press("Escape")
    page.reload()
    page.locator(".card .more").first.click()
    expect(page.locator("dialog .rich summary")).to_have_text("Detailed feedback (not saved yet)")
    expect(page.locator("dialog .score button").nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("dialog .score button").nth(1)).to_have_attribute("aria-pressed", "false")
    assert session.state.rich == {}


def test_the_blind_page(fabric: FabricGenerator, tmp_path: Path, visit: Callable[[str], Page]) -> None:
    session = StudioSession.open(StudioOptions(folder=tmp_path / "s", steps=2, images=2, size=(32, 32)), fabric)
    arms = (
        BlindArm("one", FabricParams(strength=0, guidance_scale=2)),
        BlindArm("other", FabricParams(strength=0, guidance_scale=9)),
    )
    blind = BlindComparison(session, *arms)
    with served(session, blind) as studio:
        page = visit(studio.url)
        begin(page)
        page.get_by_role("tab", name="Blind comparison").click()
        for number in range(4):  # the first arm wherever it is
            expect(page.locator("#studio-blind .pair")).to_be_visible()
            settle(lambda number=number: len(blind.pairs()) > number)  # type: ignore[misc]
            page.locator(f"#studio-blind .side.{blind.pairs()[number].first}").click()
            settle(lambda number=number: len(blind.verdicts()) == number + 1)  # type: ignore[misc]
        expect(page.locator("#studio-blind .pair")).to_be_visible()
        page.get_by_text("Show the result").click()
        expect(page.locator("#studio-blind")).to_contain_text(
            "one was preferred to other in 100\u00a0% of 4 decided verdicts"
        )
    assert blind.result().wins == 4


class _Slow(BlindComparison):
    """Whose verdicts arrive when the test lets them."""

    def __init__(self, session: StudioSession, first: BlindArm, second: BlindArm) -> None:
        super().__init__(session, first, second)
        self.let = threading.Event()

    def judge(self, pair: int, side: Side | None, rater: str) -> None:
        assert self.let.wait(PATIENCE / 1000)
        super().judge(pair, side, rater)


def test_a_judged_pair_does_not_come_again(
    fabric: FabricGenerator, tmp_path: Path, visit: Callable[[str], Page]
) -> None:
    session = StudioSession.open(StudioOptions(folder=tmp_path / "s", steps=2, images=2, size=(32, 32)), fabric)
    arms = (BlindArm(str(scale), FabricParams(strength=0, guidance_scale=scale)) for scale in (2, 9))
    blind = _Slow(session, *arms)
    with served(session, blind) as studio:
        page = visit(studio.url)
        begin(page)
        page.get_by_role("tab", name="Blind comparison").click()
        settle(lambda: len(blind.pairs()) == 2)
        left = page.locator("#studio-blind .side.left")
        left.click()
        image = session.state.rounds[0][0].id
        session.append(Mark(id="a", rater="me", image=image, sign="liked"))  # a change makes the page look for pairs
        expect(page.locator(".card .like").first).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(500)  # for an answer that is not wanted
        expect(left).to_have_count(0)
        blind.let.set()
        left.click()
        settle(lambda: {one.pair for one in blind.verdicts()} == {0, 1})


def start(folder: Path, port: int) -> Child:
    child = command("studio", "--folder", str(folder), "--port", str(port), "--steps", "2", "--images", "2")
    assert child.line().startswith("studio: http://127.0.0.1:")
    return child


def test_a_killed_server_loses_nothing(visit: Callable[[str], Page], tmp_path: Path, unused_port: int) -> None:
    server = start(tmp_path / "s", unused_port)
    try:
        page = visit(f"http://127.0.0.1:{unused_port}/")
        begin(page)
        page.locator(".card .like").first.click()
        settle(lambda: page.evaluate("sessionStorage.getItem('fabric-bo studio: acts')") == "[]")
        server.kill()
        expect(page.locator("#studio-progress")).to_contain_text("cannot be reached")
        page.locator(".card .dislike").nth(1).click()  # while there is no server
        server = start(tmp_path / "s", unused_port)
        settle(lambda: page.evaluate("sessionStorage.getItem('fabric-bo studio: acts')") == "[]")
        page.reload()
        expect(page.locator(".card .like").first).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".card .dislike").nth(1)).to_have_attribute("aria-pressed", "true")
        advance(page, 2)
    finally:
        server.kill()
