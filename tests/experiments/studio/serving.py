"""A studio behind a real port, and Debian's chromium to look at it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from experiments.studio.blind import BlindComparison
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from experiments.studio.web.access import LOCAL
from experiments.studio.web.api import PageApi
from experiments.studio.web.server import application
from experiments.studio.web.worker import Worker

_FLAGS = (
    "--no-sandbox",  # which chromium needs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Served:
    url: str
    session: StudioSession
    worker: Worker


@contextlib.contextmanager
def served(
    session: StudioSession, blind: BlindComparison | None = None, predicted: Predictions | None = None
) -> Iterator[Served]:
    worker = Worker()
    listening = socket.create_server(("127.0.0.1", 0))
    app = application(PageApi(session, worker, blind, predicted), LOCAL)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}/", session, worker)
    finally:
        server.should_exit = True
        thread.join(20)
        worker.wait(20)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found, "chromium is missing: apt-get install chromium (the studio's tests drive a real browser)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(found), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
