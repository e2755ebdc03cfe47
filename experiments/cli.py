"""The command `fabric-bo`."""

from __future__ import annotations

import argparse
import logging
import sys

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from experiments import bench_generation, bench_optimizer, generate, optimize, score
from objectives.scoring import ObjectiveError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fabric-bo", description="FABRIC, steered by a Bayesian optimiser.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("generate", help="images from prompts and liked and disliked pictures")
    generate.add_arguments(one)
    one.set_defaults(run=generate.run)
    one = commands.add_parser("optimize", help="find settings that an objective likes")
    optimize.add_arguments(one)
    one.set_defaults(run=optimize.run)
    one = commands.add_parser("score", help="scores of pictures")
    score.add_arguments(one)
    one.set_defaults(run=score.run)
    one = commands.add_parser("objectives", help="what there is to score with")
    one.set_defaults(run=score.list_objectives)
    benches = commands.add_parser("bench", help="measure speed").add_subparsers(dest="bench", required=True)
    one = benches.add_parser("generation", help="what feedback costs, over plain diffusers and the official algorithm")
    bench_generation.add_arguments(one)
    one.set_defaults(run=bench_generation.run)
    one = benches.add_parser("optimizer", help="time per proposal, and what is found on noisy test functions")
    bench_optimizer.add_arguments(one)
    one.set_defaults(run=bench_optimizer.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: of the command line; the process's own by default.

    Returns:
        Exit code: 0, or 2 on bad input, which is said in one line.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    diffusers_logging.disable_progress_bar()  # of loading; a command shows its own
    transformers_logging.disable_progress_bar()
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
