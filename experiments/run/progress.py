"""What a running optimisation shows: bars for trials, prompts and rounds, and the best setting so far."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from types import TracebackType

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

_SHOWN = 5  # parameters of a proposal


class Progress:
    """Three bars on the terminal; to be used in a `with` block, within which warnings appear above the bars.

    Args:
        trials: of the whole run.
        done: of them already.
        prompts: of a trial.
        rounds: of a prompt.
    """

    def __init__(self, trials: int, done: int, prompts: int, rounds: int) -> None:
        self._trials = tqdm(total=trials, initial=done, desc="trials", position=0)
        self._prompts = tqdm(total=prompts, desc="prompts", position=1, leave=False)
        self._rounds = tqdm(total=rounds, desc="rounds", position=2, leave=False)
        self._redirected = contextlib.ExitStack()

    def __enter__(self) -> Progress:
        with contextlib.ExitStack() as stack:
            stack.enter_context(logging_redirect_tqdm())
            logging.captureWarnings(True)
            stack.callback(logging.captureWarnings, False)
            self._redirected = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in (self._rounds, self._prompts, self._trials):
            bar.close()
        self._redirected.close()

    def proposed(self, number: int, values: Mapping[str, float]) -> None:
        """A trial begins."""
        shown = ", ".join(f"{name} {value:.2g}" for name, value in list(values.items())[:_SHOWN])
        self._prompts.reset()
        self._rounds.reset()
        self._prompts.set_description(f"trial {number}: {shown}")

    def prompts(self, count: int) -> None:
        """So many prompts of the trial are done."""
        self._prompts.update(count - self._prompts.n)
        self._rounds.reset()

    def round(self) -> None:
        """A round is done."""
        self._rounds.update()

    def finished(self, count: int, recommendation: str) -> None:
        """Trials are done.

        Args:
            count: how many more.
            recommendation: the best setting so far, in words.
        """
        self._trials.set_postfix_str(recommendation)
        self._trials.update(count)

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._trials.write(text)
