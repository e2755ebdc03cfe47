"""The rating page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from experiments.people.questions import Questions
from experiments.people.web.server import application
from experiments.web.access import LOCAL
from tests.browser import serving


@pytest.fixture
def page(browser: Browser, questions: Questions) -> Iterator[Page]:
    """The page of `questions`; no script may fail, and nothing may break its policy."""
    wrong: list[str] = []
    with serving(application(questions, 0.0, LOCAL)) as url, browser.new_context() as context:
        context.set_default_timeout(30_000)
        opened = context.new_page()
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        opened.goto(url)
        yield opened
    assert not wrong
