"""Generates in the background, one thing at a time, so that people go on looking and rating."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

OnStep: TypeAlias = Callable[[int, int], None]
Job: TypeAlias = Callable[[OnStep], object]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobProgress:
    """How far the worker is.

    Attributes:
        job: what it makes, in words; empty while it rests.
        done: denoising steps.
        steps: all of them, 0 before the first.
        error: why the last job failed; empty if it did not.
        seconds: that the last job took.
    """

    job: str = ""
    done: int = 0
    steps: int = 0
    error: str = ""
    seconds: float = 0.0


class Worker:
    """One thread at most."""

    def __init__(self) -> None:
        self._progress = JobProgress()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def progress(self) -> JobProgress:
        """How far it is at this moment."""
        return self._progress

    def start(self, name: str, job: Job, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Starts a job, unless one is under way.

        Args:
            name: in words.
            job: called with what it is to tell its steps to.
            wanted: asked at the last moment; a click sent twice finds here that its work is done.

        Returns:
            Whether it was started.
        """
        with self._lock:
            if self._progress.job or not wanted():
                return False
            self._progress = JobProgress(name, seconds=self._progress.seconds)
            self._thread = threading.Thread(target=self._run, args=(job,), name="studio", daemon=True)
            self._thread.start()
            return True

    def wait(self, timeout: float | None = None) -> None:
        """Until the job under way has ended."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, job: Job) -> None:
        begun = time.monotonic()
        try:
            job(self._on_step)
        except Exception as error:  # whatever it is, people see it and the page lives on
            _log.exception("studio: %s failed", self._progress.job)
            message = " ".join(str(error).split()) or type(error).__name__
            self._progress = JobProgress(error=message[:300])
        else:
            self._progress = JobProgress(seconds=time.monotonic() - begun)

    def _on_step(self, done: int, steps: int) -> None:
        self._progress = replace(self._progress, done=done, steps=steps)
