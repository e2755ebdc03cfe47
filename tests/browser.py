"""A page behind a real port, and Debian's chromium to look at it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.types import ASGIApp

_FLAGS = (
    "--no-sandbox",  # which chromium needs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serves an application; its address, with a slash at its end."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(20)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found, "chromium is missing: apt-get install chromium (the tests of pages drive a real browser)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(found), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def cut_off(page: Page) -> None:
    """From now on whatever the page fetches fails, as without a network; see `restore`.

    Chromium itself begins to intercept requests some time after it is asked to.
    """
    page.evaluate("() => { window.kept = window.fetch; window.fetch = () => Promise.reject(new Error('no network')); }")


def restore(page: Page) -> None:
    """The page can fetch again after `cut_off`."""
    page.evaluate("() => { window.fetch = window.kept; }")
