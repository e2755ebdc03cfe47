"""The report in a real browser, opened as a file: trials filter, images enlarge, data is taken away, dark is dark."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from experiments.comparison.compare import FILE
from experiments.report.findings import read_findings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]


@pytest.fixture
def shown(browser: Browser, folder: Path) -> Iterator[Page]:
    """The report; it says nothing on the console, so its own policy forbids nothing that it needs."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"a script of a prompt ran: {dialog.message}"))
    page.goto((folder / "report.html").as_uri())
    yield page
    context.close()
    assert said == []


def _kept(page: Page) -> list[int]:
    return [int(text) for text in page.locator("#trials tbody tr:visible th").all_inner_texts()]


def test_trials_filter_by_a_drag_along_an_axis_and_by_least_gain(shown: Page, folder: Path) -> None:
    tried = read_findings(folder).tried
    everything = [trial.number for trial in tried]
    shown.locator("#parallel svg").scroll_into_view_if_needed()
    assert _kept(shown) == everything
    axis = shown.evaluate(_FIRST_AXIS)
    shown.mouse.move(axis["x"], axis["top"] + 0.5 * axis["height"])
    shown.mouse.down()
    for share in (0.4, 0.2, -0.05):
        shown.mouse.move(axis["x"], axis["top"] + share * axis["height"])
    shown.mouse.up()
    gains = {trial.number: trial.values[0] for trial in tried}
    middle = (min(gains.values()) + max(gains.values())) / 2
    assert set(_kept(shown)) == {number for number, gain in gains.items() if gain >= middle} != set(everything)
    assert shown.locator("#parallel-count").inner_text() == f"{len(_kept(shown))} of {len(tried)} trials"
    shown.get_by_role("button", name="Show all").click()
    assert _kept(shown) == everything
    shown.get_by_label("Gain at least").fill("100")
    assert _kept(shown) == [max(gains, key=lambda number: gains[number])]


_FIRST_AXIS = """() => {
  const plot = document.getElementById("parallel");
  const line = [...plot.querySelectorAll("path")].map(path => path.getBoundingClientRect())
    .filter(box => box.width < 2 && box.height > 100).sort((a, b) => a.x - b.x)[0];
  return { x: line.x, top: line.top, height: line.height };
}"""


def test_images_enlarge_and_the_keys_go_through_them(shown: Page) -> None:
    images = shown.locator("button.zoom img")
    names = [image.get_attribute("alt") for image in images.all()]
    images.nth(1).click()
    enlarged = shown.locator("dialog img")
    assert enlarged.get_attribute("alt") == names[1]
    assert enlarged.evaluate("image => image.decode().then(() => image.clientWidth)") > 400
    shown.keyboard.press("ArrowRight")
    assert enlarged.get_attribute("alt") == names[2]
    shown.keyboard.press("Home")
    shown.keyboard.press("ArrowLeft")  # round the corner
    assert enlarged.get_attribute("alt") == names[-1]
    shown.get_by_role("button", name="next image").click()
    assert enlarged.get_attribute("alt") == names[0]
    shown.keyboard.press("Escape")
    assert not shown.locator("dialog").is_visible()
    assert shown.evaluate("document.activeElement.querySelector('img').alt") == names[0]


def test_data_is_taken_away(shown: Page, folder: Path) -> None:
    found = read_findings(folder)
    trials = list(csv.DictReader(_downloaded(shown, "trials.csv").splitlines()))
    assert [int(row["trial"]) for row in trials] == [trial.number for trial in found.tried]
    assert [float(row["gain: clip-prompt"]) for row in trials] == [trial.values[0] for trial in found.tried]
    assert [float(row["strength"]) for row in trials] == [trial.params.strength for trial in found.tried]
    assert all(float(row["seconds generating"]) > 0 for row in trials)
    comparison = json.loads((folder / FILE).read_text())
    everything = json.loads(_downloaded(shown, "report.json"))
    assert everything["comparison"] == comparison
    assert everything["config"]["prompts"][0]["prompt"] == comparison["prompts"][0]
    images = list(csv.DictReader(_downloaded(shown, "comparison.csv").splitlines()))
    scores = [float(row["clip-prompt"]) for row in images if row["arm"] == "tuned" and row["round"] == "2"]
    assert np.allclose(scores, np.ravel([task[1] for task in comparison["arms"][0]["scores"]["clip-prompt"]]))


def _downloaded(page: Page, name: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    assert download.value.suggested_filename == name
    return Path(download.value.path()).read_text()


def test_a_table_sorts_by_its_numbers(shown: Page) -> None:
    column = "#by-prompt tbody tr:not(.lead) td:nth-child(4)"
    head = shown.locator("#by-prompt thead th").nth(3)
    head.get_by_role("button").click()
    down = [float(text) for text in shown.locator(column).all_inner_texts()]
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    assert [float(text) for text in shown.locator(column).all_inner_texts()] == down[::-1] == sorted(down)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(shown: Page, scheme: str) -> None:
    shown.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    pairs = shown.evaluate(_COLOURS)
    assert len(pairs) >= 6
    assert {background[0] < 128 for _, background in pairs if background} == {scheme == "dark"}
    for colour, background in pairs:
        assert _contrast(colour, background) >= 4.5, (colour, background)  # WCAG 2.2, 1.4.3


_COLOURS = """() => {
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour.slice(0, 3);
    }
  };
  const texts = [...document.querySelectorAll("body *:not(svg *, script)")]
    .filter(one => [...one.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
  const pairs = texts.map(one => JSON.stringify([numbers(getComputedStyle(one).color).slice(0, 3), behind(one)]));
  return [...new Set(pairs)].map(pair => JSON.parse(pair));
}"""


def _contrast(one: list[float], other: list[float]) -> float:
    """The contrast ratio of two sRGB colours (WCAG 2.2)."""
    light, dark = sorted(map(_luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[float]) -> float:
    shares = np.array(colour) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
