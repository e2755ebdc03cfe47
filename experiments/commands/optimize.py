"""`fabric-bo optimize` and `fabric-bo resume`: propose settings, try them on all prompts, score, learn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments.config.flags import add_run_options, config_of
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.files.atomic import atomic_write
from experiments.run.forecast import forecast
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from experiments.run.study import read_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add_run_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and about how long it would take")


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        Exit code 0.

    Raises:
        ValueError: the configuration is wrong; the message is one line.
    """
    config = config_of(options)
    if options.dry_run:
        print(forecast(Plan.of(config)))
        return 0
    return _run(config)


def add_resume_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo resume`."""
    parser.add_argument("folder", type=Path, help="output of a run")
    parser.add_argument("--trials", type=int, help="settings to try, in all")
    parser.add_argument("--minutes", type=float, help="to run at most, in all")


def resume(options: argparse.Namespace) -> int:
    """Runs `fabric-bo resume`: goes on with a run by its folder alone.

    Returns:
        Exit code 0.

    Raises:
        ValueError: there is no run in the folder; the message is one line.
    """
    _, values = read_study(options.folder)
    values["output"] = str(options.folder)
    if options.trials is not None:
        values["trials"] = options.trials
    if options.minutes is not None:
        values["stop"]["minutes"] = options.minutes
    return _run(check_config(values))


def _run(config: RunConfig) -> int:
    try:
        done = optimize(Plan.of(config))
    except KeyboardInterrupt:
        print(f"\nstopped; what is finished is in {config.output}, and the same command goes on", file=sys.stderr)
        raise
    best, params = done.recommended()
    path = config.output / "best.yaml"
    with atomic_write(path) as unfinished:
        unfinished.write_text(params.to_yaml(), encoding="utf-8")
    print(
        f"recommended: trial {best.number}, {config.objective[0].name} {best.mean:+.4f} "
        f"[{best.low:+.4f}, {best.high:+.4f}] over no feedback; written to {path}"
    )
    return 0
