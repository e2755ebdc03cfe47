"""A studio behind a real port."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.studio.blind import BlindComparison
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from experiments.studio.web.api import PageApi
from experiments.studio.web.server import application
from experiments.studio.web.worker import Worker
from experiments.web.access import LOCAL
from tests.browser import serving


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
    with serving(application(PageApi(session, worker, blind, predicted), LOCAL)) as url:
        yield Served(url, session, worker)
    worker.wait(20)
