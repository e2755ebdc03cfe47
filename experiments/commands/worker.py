"""`fabric-bo worker`: takes part in a run that was begun elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.commands.result import CommandResult
from experiments.commands.runs import storage_of
from experiments.config.read import check_config
from experiments.run.optimize import join
from experiments.run.progress import Progress
from experiments.run.stopping import finished
from experiments.run.storage import storage_errors
from experiments.run.study import CONFIG, join_study


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Tries settings of a run until it is over.

    Returns:
        How far the run is.

    Raises:
        ValueError: there is no such run, or something that it needs is not to be had here; the message is one line.
    """
    url = storage_of(options.storage)
    store = join_study(url, options.name)
    values = dict(store.study.user_attrs[CONFIG])
    output = options.output or Path("runs") / options.name
    values |= {"storage": url, "study": options.name, "output": str(output)}
    if options.device is not None:
        values["model"] = {**values["model"], "device": options.device}
    config = check_config(values)
    try:
        with storage_errors():
            done = join(store, config, progress)
    except KeyboardInterrupt:
        progress.warn("stopped; the trial under way goes to another worker, and the same command takes part again")
        raise
    count = len(finished(done.study))
    return CommandResult(f"{options.name}: {count} of {config.trials} trials are finished", {"finished": count})
