"""The command `fabric-bo`."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from objectives.base import ObjectiveError


@dataclass(frozen=True)
class _Command:
    """What can be asked for.

    Attributes:
        about: one line.
        module: that does it; imported when it is asked for, since most take seconds to import.
        arguments: its function that declares the options.
        run: its function that runs the command.
    """

    about: str
    module: str
    arguments: str = "add_arguments"
    run: str = "run"


_COMMANDS = {
    "generate": _Command("images from prompts and liked and disliked pictures", "commands.generate"),
    "optimize": _Command("find settings that an objective likes", "commands.optimize"),
    "resume": _Command("go on with an optimisation", "commands.optimize", "add_resume_arguments", "resume"),
    "compare": _Command("tuned settings against fixed FABRIC on held-out prompts and seeds", "commands.compare"),
    "report": _Command("one HTML file about a run", "commands.report"),
    "studio": _Command("steer a prompt by looking, in the browser", "commands.studio"),
    "score": _Command("scores of pictures", "commands.score"),
    "objectives": _Command("what there is to score with", "commands.score", "add_listing_arguments", "list_objectives"),
}
_BENCHES = {
    "generation": _Command("what feedback costs, over plain diffusers and the official algorithm", "bench.generation"),
    "optimizer": _Command("time per proposal, and what is found on noisy test functions", "bench.optimizer"),
    "samplers": _Command("what each sampler finds on the embedded model", "bench.samplers"),
    "studio": _Command("the time from a click to the next batch", "bench.studio"),
    "artist": _Command("how soon a simulated artist gets what it has in mind", "bench.artist"),
}

_NOT_OURS = r"(?!fabric|objectives|optimizer|experiments)"  # modules


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Of all commands; only the one that is asked for knows its options."""
    parser = argparse.ArgumentParser(prog="fabric-bo", description="FABRIC, steered by a Bayesian optimiser.")
    commands = parser.add_subparsers(dest="command", required=True)
    _declare(commands, _COMMANDS, arguments[:1])
    benches = commands.add_parser("bench", help="measure speed and samplers").add_subparsers(
        dest="bench", required=True
    )
    _declare(benches, _BENCHES, arguments[1:2])
    return parser


def _declare(commands: Any, table: Mapping[str, _Command], asked_for: list[str]) -> None:
    for name, command in table.items():
        parser = commands.add_parser(name, help=command.about)
        if name in asked_for:
            module = import_module(f"experiments.{command.module}")
            getattr(module, command.arguments)(parser)
            parser.set_defaults(run=getattr(module, command.run))


def _quieten() -> None:
    """Keeps the terminal for progress bars: libraries neither draw their own nor print a line for every trial."""
    import diffusers.utils.logging
    import optuna.logging
    import transformers.utils.logging

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: of the command line; the process's own by default.

    Returns:
        Exit code: 0, or 2 on bad input, which is said in one line.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    # Libraries warn of each other's old ways, some of them while they are imported; users can do nothing about it.
    warnings.filterwarnings("ignore", category=FutureWarning, module=_NOT_OURS)
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser(given).parse_args(given)
    _quieten()
    try:
        code: int = options.run(options)
    except (ValueError, MemoryError, OSError, ObjectiveError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
