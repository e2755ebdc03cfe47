"""Takes the picture of the studio that the docs show: a session on the embedded model, as it is in a browser.

python -m tests.experiments.studio.web.picture
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect

from experiments.files.pictures import save_png
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from experiments.studio.web.server import STATIC
from fabric.generator import FabricGenerator
from fabric.models import load
from tests.browser import chromium
from tests.experiments.studio.serving import served
from tests.experiments.studio.web.page import PATIENCE, advance, begin

PICTURE = STATIC.parents[1] / "studio.png"
_WIDTH, _HEIGHT = 1280, 960  # of the window, in pixels
_LIKED, _DISLIKED = (1, 2, 0), (3, 0, 2)  # places by round


def page_version() -> str:
    """Of what is on the page: its scripts, styles and markup, by content."""
    files = sorted(path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html"))
    content = hashlib.sha256()
    for path in files:
        content.update(path.relative_to(STATIC).as_posix().encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def shown_version(path: Path) -> str | None:
    """Of the page that a picture shows."""
    with Image.open(path) as picture:
        return getattr(picture, "text", {}).get("page")


def take(browser: Browser, fabric: FabricGenerator, path: Path, steps: int = 12) -> None:
    """Plays a session in a browser and takes its picture.

    Args:
        browser: that looks.
        fabric: the generator.
        path: of the PNG.
        steps: denoising steps.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = StudioSession.open(StudioOptions(folder=Path(folder), steps=steps), fabric)
        with served(session) as studio:
            context = browser.new_context(
                viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light", reduced_motion="reduce"
            )
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(studio.url)
            begin(page, "a red star at night")
            for number, (liked, disliked) in enumerate(zip(_LIKED, _DISLIKED, strict=True), start=2):
                page.locator(".card .like").nth(liked).click()
                page.locator(".card .dislike").nth(disliked).click()
                advance(page, number)
            page.locator(".card .like").first.click()
            expect(page.locator("#studio-insight .chance")).to_be_visible()
            shot = path.with_suffix(".new.png")
            page.screenshot(path=shot)
            context.close()
    with Image.open(shot) as picture:
        save_png(picture.convert("RGB"), path, {"page": page_version()})
    shot.unlink()


if __name__ == "__main__":
    with chromium() as browser:
        take(browser, FabricGenerator(load(device="cpu")), PICTURE)
