"""`fabric-bo optimize` and `fabric-bo resume`: propose settings, try them on all prompts, score, learn."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from experiments.commands.compare import named
from experiments.commands.result import CommandResult
from experiments.config.flags import config_of
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.embedded.vocabulary import unknown_words
from experiments.files.atomic import atomic_write
from experiments.run.forecast import forecast
from experiments.run.optimize import Run, optimize, read_run
from experiments.run.plan import Plan
from experiments.run.progress import Progress
from experiments.run.storage import storage_errors
from experiments.run.study import CONFIG_FILE, default_storage, knobs_of, read_study, stored_config


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs `fabric-bo optimize`.

    Returns:
        The recommended setting; of a dry run what would run.

    Raises:
        ValueError: the configuration is wrong; the message is one line.
    """
    config = _with_known(config_of(options), options.others)
    prompts = [task.prompt for task in (*config.prompts, *config.held_out.prompts)]
    if strange := unknown_words(config.model.name, prompts):
        progress.warn(f"warning: {strange}")
    if config.storage is None:
        config = config.model_copy(update={"storage": default_storage(config.output)})
    if options.dry_run:
        progress.doing("loading the model and timing a few steps")
        expected = forecast(Plan.of(config))
        return CommandResult(
            str(expected), {**asdict(expected), "most_images": expected.most_images, "seconds": expected.seconds}
        )
    return _run(config, progress)


def resume(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs `fabric-bo resume`: goes on with a run by its folder alone.

    Returns:
        The recommended setting.

    Raises:
        ValueError: there is no run in the folder; the message is one line.
    """
    _, values = read_study(options.folder)
    values["output"] = str(options.folder)
    if options.trials is not None:
        values["trials"] = options.trials
    if options.minutes is not None:
        values["stop"]["minutes"] = options.minutes
    return _run(check_config(values), progress)


def _with_known(config: RunConfig, folders: Sequence[Path]) -> RunConfig:
    """The configuration, with what other runs recommend among what is tried first.

    A run that is taken up again keeps to what it began with, as the others may have gone on since.

    Raises:
        ValueError: a folder holds no run that recommends something, or two runs have one name.
    """
    if (config.output / CONFIG_FILE).exists():
        began_with = stored_config(config.output).get("known", {})
        return config.model_copy(update={"known": {**began_with, **config.known}})
    found = {name: read_run(folder).recommended()[1].to_dict() for name, folder in named(folders, "from").items()}
    return check_config({**config.model_dump(mode="json"), "known": {**config.known, **found}})


def _run(config: RunConfig, progress: Progress) -> CommandResult:
    try:
        with storage_errors():
            done = _optimize(Plan.of(config), progress)
    except KeyboardInterrupt:
        progress.warn(f"stopped; what is finished is in {config.output}, and the same command goes on")
        raise
    return _recommendation(done)


def _optimize(plan: Plan, progress: Progress) -> Run:
    if plan.config.workers == 1:
        return optimize(plan, progress)
    # Takes seconds to import, and nobody else needs it.
    from experiments.run.ray_workers import optimize_with_workers

    return optimize_with_workers(plan, progress)


def _recommendation(done: Run) -> CommandResult:
    """The best setting, which is written to a file too."""
    config = done.plan.config
    best, params = done.recommended()
    path = config.output / "best.yaml"
    with atomic_write(path) as unfinished:
        unfinished.write_text(params.to_yaml(knobs_of(done.study)), encoding="utf-8")
    objective, chosen = config.objective[0].name, config.chosen_by_people
    # Utility is over what is usual among settings; one that has 1 more is chosen e times as often.
    over = "in utility" if chosen else "over no feedback"
    sure = "" if chosen or best.low > 0 or best.high < 0 else ": it holds 0, so no gain is shown on these prompts"
    again = done.replications(best.number)
    replicated = f", tried {len(again) + 1} times with other seeds" if again else ""
    lines = [
        f"recommended: trial {best.number}, {objective} {best.mean:+.4f} {over}{replicated}",
        f"95 % interval: {best.low:+.4f} to {best.high:+.4f}{sure}",
        f"written to: {path}",
        f"next: fabric-bo compare {shlex.quote(str(config.output))}",
    ]
    values = {
        "trial": best.number,
        "objective": objective,
        "gain": best.mean,
        "interval": [best.low, best.high],
        "replications": again,
        "params": params.to_dict(),
        "file": str(path),
    }
    return CommandResult("\n".join(lines), values)
