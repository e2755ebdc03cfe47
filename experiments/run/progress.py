"""What a running command shows: one line that says what it is doing, how far it is and how long it will take."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
import warnings
from dataclasses import dataclass, field
from types import TracebackType

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

_EVERY = 10  # seconds between lines where there is no terminal
_BAR = "{bar:10} {desc}"


class Progress:
    """One line on the terminal; to be used in a `with` block, within which warnings appear above the line.

    Where stderr is no terminal there is a plain line every ten seconds at most.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty() and not quiet
        self._line = tqdm(disable=not self._terminal, bar_format="{desc}", leave=False, dynamic_ncols=True)
        self._said = time.monotonic()
        self._pace = _Pace()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Progress:
        with contextlib.ExitStack() as stack:
            stack.callback(self._line.close)
            if self._terminal:
                stack.enter_context(logging_redirect_tqdm())
            logging.captureWarnings(True)
            stack.callback(logging.captureWarnings, False)
            stack.callback(setattr, warnings, "formatwarning", warnings.formatwarning)
            warnings.formatwarning = _in_one_line
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes the line away for good."""
        self._open.close()

    def doing(self, what: str) -> None:
        """Something begins that takes a while.

        Args:
            what: as in "loading the model".
        """
        self._line.bar_format = "{desc}"
        self._show(f"{what} …")

    def begin(self, total: float, done: float = 0, at_most: float = math.inf) -> None:
        """From now on it is known how much there is to do.

        Args:
            total: amount of work, in any unit.
            done: of it before now.
            at_most: seconds after which it ends, done or not.
        """
        self._line.total = total
        self._pace = _Pace(total, done, at_most)

    def at(self, done: float, *parts: str) -> None:
        """So much is done.

        Args:
            done: of the total.
            parts: what is under way, as in "trial 7/30", "prompt 3/8"; empty ones are left out.
        """
        self._line.bar_format, self._line.n = _BAR, min(done, self._pace.total)
        self._show(" · ".join(part for part in (*parts, self._pace.left(done)) if part))

    def say(self, text: str) -> None:
        """A line that stays, above the one that changes."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A line that stays, even where there is to be quiet."""
        if self._terminal:
            self._line.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)

    def _show(self, text: str) -> None:
        now = time.monotonic()
        if self._terminal:
            self._line.set_description_str(text)
        elif not self._quiet and now - self._said >= _EVERY:
            self._said = now
            print(text, file=sys.stderr, flush=True)


def _in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning without the line of code that it comes from."""
    return " ".join(str(message).split())


@dataclass(frozen=True)
class _Pace:
    """How fast work goes on.

    Attributes:
        total: amount of work.
        before: of it that was done before the clock started.
        at_most: seconds after which it ends, done or not.
        started: the clock's time then.
    """

    total: float = 0.0
    before: float = 0.0
    at_most: float = math.inf
    started: float = field(default_factory=lambda: time.monotonic())

    def left(self, done: float) -> str:
        """The time that is left, in words; nothing before there is a pace."""
        if done <= self.before:
            return ""
        gone = time.monotonic() - self.started
        seconds = max(0.0, min(gone * (self.total - done) / (done - self.before), self.at_most - gone))
        return f"{in_words(seconds)} left"


def in_words(seconds: float) -> str:
    """A time span to two digits or so, as in "40 s", "4 min" and "2 h 10 min"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class TrialProgress:
    """How far an optimisation is.

    Args:
        progress: shows it.
        trials: of the whole run.
        done: of them already.
        prompts: of a trial.
        rounds: of a prompt.
        at_most: seconds after which the run ends.
    """

    def __init__(
        self, progress: Progress, trials: int, done: int, prompts: int, rounds: int, at_most: float = math.inf
    ) -> None:
        self._progress = progress
        self._trials, self._done, self._prompts, self._rounds = trials, done, prompts, rounds
        self._at_once = self._prompt = self._round = 0
        self._best = ""
        progress.begin(trials, done, at_most)

    def proposed(self, count: int) -> None:
        """So many trials begin at once."""
        self._at_once, self._prompt, self._round = count, 0, 0
        self._show()

    def prompts(self, count: int) -> None:
        """So many prompts of the trials under way are done."""
        self._prompt, self._round = count, 0
        self._show()

    def round(self) -> None:
        """A round of the prompts under way is done."""
        self._round += 1
        self._show()

    def waits(self, what: str) -> None:
        """Nothing goes on before somebody else has done something, as in "waiting for 3 ratings"."""
        self._progress.doing(what)

    def finished(self, done: int, best: float | None) -> None:
        """The trials under way are done.

        Args:
            done: trials of the run, those of other processes among them.
            best: gain of the setting that would be recommended now, where one would be.
        """
        self._done = done
        self._best = "" if best is None else f"best {best:+.3g}"

    def _show(self) -> None:
        last = min(self._done + self._at_once, self._trials)
        which = f"trial {last}" if self._at_once == 1 else f"trials {self._done + 1}-{last}"
        self._progress.at(
            self._done + self._at_once * self._prompt / self._prompts,
            f"{which}/{self._trials}",
            f"prompt {min(self._prompt + 1, self._prompts)}/{self._prompts}",
            f"round {min(self._round + 1, self._rounds)}/{self._rounds}",
            self._best,
        )
