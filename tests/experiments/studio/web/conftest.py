"""A studio and a real browser that looks at it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from fabric.generator import FabricGenerator
from tests.experiments.studio.serving import Served, served
from tests.experiments.studio.web.page import PATIENCE


@pytest.fixture
def studio(fabric: FabricGenerator, tmp_path: Path) -> Iterator[Served]:
    options = StudioOptions(folder=tmp_path / "s", steps=2, images=2, size=(32, 32))
    with served(StudioSession.open(options, fabric)) as one:
        yield one


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens a page in a browser of its own; nothing may be asked of another site, and no script may fail."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    foreign: list[str] = []

    def open_page(url: str) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        own = (url, "data:", "blob:")

        def check(request: Request) -> None:
            if not request.url.startswith(own):
                foreign.append(request.url)

        page.on("request", check)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert foreign == []


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
