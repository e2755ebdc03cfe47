"""The command `fabric-bo`."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from types import ModuleType
from typing import Any

import optuna
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from experiments import (
    bench_artist,
    bench_generation,
    bench_optimizer,
    bench_samplers,
    comparing,
    generate,
    optimize,
    reporting,
    score,
)
from experiments.studio import command as studio
from objectives.scoring import ObjectiveError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fabric-bo", description="FABRIC, steered by a Bayesian optimiser.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add(commands, "generate", "images from prompts and liked and disliked pictures", generate)
    _add(commands, "optimize", "find settings that an objective likes", optimize)
    resuming = commands.add_parser("resume", help="go on with an optimisation")
    optimize.add_resume_arguments(resuming)
    resuming.set_defaults(run=optimize.resume)
    _add(commands, "compare", "tuned settings against fixed FABRIC on held-out prompts and seeds", comparing)
    _add(commands, "report", "one HTML file about a run", reporting)
    _add(commands, "score", "scores of pictures", score)
    _add(commands, "studio", "steer a prompt by looking, in the browser", studio)
    listing = commands.add_parser("objectives", help="what there is to score with")
    listing.set_defaults(run=score.list_objectives)
    benches = commands.add_parser("bench", help="measure speed").add_subparsers(dest="bench", required=True)
    about = "what feedback costs, over plain diffusers and the official algorithm"
    _add(benches, "generation", about, bench_generation)
    _add(benches, "optimizer", "time per proposal, and what is found on noisy test functions", bench_optimizer)
    about = "how soon a simulated artist gets what it has in mind"
    _add(benches, "artist", about, bench_artist)
    about = "what each sampler finds on the embedded model"
    _add(benches, "samplers", about, bench_samplers)
    return parser


def _add(commands: Any, name: str, about: str, module: ModuleType) -> None:
    """A command whose module declares its options and runs it."""
    one = commands.add_parser(name, help=about)
    module.add_arguments(one)
    one.set_defaults(run=module.run)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: of the command line; the process's own by default.

    Returns:
        Exit code: 0, or 2 on bad input, which is said in one line.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    warnings.filterwarnings("ignore", r"`torch.jit.script` is deprecated", FutureWarning)  # a dependency's business
    diffusers_logging.disable_progress_bar()  # of loading; a command shows its own
    transformers_logging.disable_progress_bar()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for every trial would break the bars
    options = _parser().parse_args(arguments)
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
