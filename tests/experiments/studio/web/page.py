"""What tests do on the studio's page."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

PATIENCE = 60_000  # milliseconds, on a busy machine
expect.set_options(timeout=PATIENCE)


def begin(page: Page, prompt: str = "a red circle") -> None:
    expect(page.locator("#studio-next")).to_be_enabled()  # the scripts have started
    page.locator("#studio-prompt-text").fill(prompt)
    page.locator("#studio-next").click()
    expect(page.locator(".card").first).to_be_visible()


def advance(page: Page, number: int) -> None:
    expect(page.locator("#studio-next")).to_be_enabled()
    page.locator("#studio-next").click()
    expect(page.locator(".round")).to_have_count(number)
    expect(page.locator(".round[aria-current]")).to_have_text(str(number))


def settle(condition: Callable[[], bool]) -> None:
    """Until what was done has arrived in the study."""
    until = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
