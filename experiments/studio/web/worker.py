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


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Somebody does not want what is being made."""


@dataclass(frozen=True)
class JobProgress:
    """How far the worker is.

    Attributes:
        job: what it makes, in words; empty while it rests.
        done: denoising steps.
        steps: all of them, 0 before the first.
        error: why the last job failed; empty if it did not.
        seconds: that the last job took.
        left: seconds until the job is done, as far as its steps tell; None before the first.
        stopping: whether the job is to end before it is done.
        changed: when this was said, in nanoseconds; another number for all else that is said.
    """

    job: str = ""
    done: int = 0
    steps: int = 0
    error: str = ""
    seconds: float = 0.0
    left: float | None = None
    stopping: bool = False
    changed: int = 0


class Worker:
    """One thread at most."""

    def __init__(self) -> None:
        self._progress = JobProgress()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._first_step = 0.0

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
            self._say(JobProgress(name, seconds=self._progress.seconds))
            self._thread = threading.Thread(target=self._run, args=(job,), name="studio", daemon=True)
            self._thread.start()
            return True

    def cancel(self) -> bool:
        """Ends the job under way at its next step; nothing of it is kept.

        Returns:
            Whether there was one.
        """
        with self._lock:
            if not self._progress.job:
                return False
            self._say(replace(self._progress, stopping=True))
            return True

    def wait(self, timeout: float | None = None) -> None:
        """Until the job under way has ended."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, job: Job) -> None:
        begun = time.monotonic()
        ended = JobProgress(seconds=self._progress.seconds)
        try:
            job(self._on_step)
        except Cancelled:
            pass
        except Exception as error:  # whatever it is, people see it and the page lives on
            _log.exception("studio: %s failed", self._progress.job)
            message = " ".join(str(error).split()) or type(error).__name__
            ended = JobProgress(error=message[:300])
        else:
            ended = JobProgress(seconds=time.monotonic() - begun)
        with self._lock:
            self._say(ended)

    def _on_step(self, done: int, steps: int) -> None:
        with self._lock:
            if self._progress.stopping:
                raise Cancelled
            left = None
            if done <= 1:
                self._first_step = time.monotonic()
            else:
                left = (time.monotonic() - self._first_step) / (done - 1) * (steps - done)
            self._say(replace(self._progress, done=done, steps=steps, left=left))

    def _say(self, progress: JobProgress) -> None:
        self._progress = replace(progress, changed=max(time.time_ns(), self._progress.changed + 1))
