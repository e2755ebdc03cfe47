"""`fabric-bo runs`: the runs that a storage holds."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict

from experiments.commands.result import CommandResult
from experiments.run.overview import RunOverview, overview
from experiments.run.progress import Progress, in_words
from experiments.run.storage import ENVIRONMENT
from experiments.run.store import open_storage


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        A line for each run.

    Raises:
        ValueError: there is no such storage; the message is one line.
    """
    url = storage_of(options.storage)
    found = overview(open_storage(url))
    rows = [{**asdict(each), "state": each.state} for each in found]
    if not found:
        return CommandResult("no run was begun there", rows)
    width = max(len("run"), *(len(each.name) for each in found))
    head = f"{'run':<{width}}  {'state':<24}{'trials':>9}{'failed':>8}{'workers':>9}{'best':>9}{'left':>14}"
    return CommandResult("\n".join([head, *(_line(each, width) for each in found)]), rows)


def storage_of(given: str | None) -> str:
    """The URL that was given, or that of the environment.

    Raises:
        ValueError: neither is there.
    """
    url = given or os.environ.get(ENVIRONMENT)
    if not url:
        raise ValueError(f"storage: none; allowed: the URL of a database, here or in {ENVIRONMENT}")
    return url


def _line(run: RunOverview, width: int) -> str:
    best = "–" if run.best is None else f"{run.best:+.3g}"
    left = "–" if run.minutes_left is None else in_words(60 * run.minutes_left)
    trials = f"{run.finished}/{run.trials}"
    return f"{run.name:<{width}}  {run.state:<24}{trials:>9}{run.failed:>8}{run.workers:>9}{best:>9}{left:>14}"
