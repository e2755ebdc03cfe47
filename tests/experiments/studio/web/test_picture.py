"""The picture of the studio that the docs show is never older than the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from fabric.generator import FabricGenerator
from tests.experiments.studio.web.picture import PICTURE, page_version, shown_version, take


def test_the_picture_shows_the_present_page() -> None:
    assert shown_version(PICTURE) == page_version(), "take it anew: python -m tests.experiments.studio.web.picture"


@pytest.mark.slow
@pytest.mark.xdist_group("page")
def test_the_picture_is_taken_of_a_session(browser: Browser, fabric: FabricGenerator, tmp_path: Path) -> None:
    path = tmp_path / "studio.png"
    take(browser, fabric, path, steps=2)
    assert list(tmp_path.iterdir()) == [path]
    assert shown_version(path) == page_version()
    with Image.open(path) as picture, Image.open(PICTURE) as kept:
        assert picture.size == kept.size
        assert len(picture.resize((64, 64)).getcolors(64 * 64) or ()) > 100  # it is no empty page
