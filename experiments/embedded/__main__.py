"""Command line: `python -m experiments.embedded STAGE`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from experiments.embedded.gates.evaluate import evaluate
from experiments.embedded.shipped import ROOT
from experiments.embedded.stages import (
    classifier_stage,
    clip_stage,
    codec_stage,
    folder_of,
    judges_stage,
    preference_stage,
    rahf_stage,
    scenes_stage,
    unet_stage,
)
from experiments.embedded.training.config import Config, emoji, folder, smoke

TRAINING: dict[str, Callable[[Config], object]] = {
    "scenes": scenes_stage,
    "codec": codec_stage,
    "unet": unet_stage,
    "judges": judges_stage,
}
# The judges one at a time, to train them side by side with something else.
SINGLE: dict[str, Callable[[Config], object]] = {
    "classifier": classifier_stage,
    "clip": clip_stage,
    "preference": preference_stage,
    "rahf": rahf_stage,
}

SMOKE_EFFORT = 1 / 48


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.embedded",
        description="Train and measure the embedded model. Every stage resumes where it was stopped.",
    )
    parser.add_argument(
        "stage",
        choices=["all", "emoji", "folder", *TRAINING, *SINGLE, "evaluate"],
        help="emoji: all of that world; folder: a model of your own pictures",
    )
    parser.add_argument("pictures", type=Path, nargs="?", metavar="DIR", help="folder: of pictures with captions")
    parser.add_argument("--world", choices=("scenes", "emoji"), default="scenes", help="of the models (scenes)")
    parser.add_argument("--workdir", type=Path, help="pictures, checkpoints and logs (below runs/)")
    parser.add_argument("--output", type=Path, help="root to write shipped files under (the repository)")
    parser.add_argument("--steps", type=int, default=10_000, help="folder: of the generator's training (10000)")
    parser.add_argument(
        "--from-shipped", action="store_true", help="unet: go on from the shipped generator, with phases that it lacks"
    )
    parser.add_argument("--smoke", action="store_true", help="a tiny training of a minute")
    parser.add_argument(
        "--gate", type=int, choices=range(1, 10), action="append", help="measure this gate only; repeatable"
    )
    parser.add_argument("--cards", action="store_true", help="evaluate: write figures and cards")
    return parser


def _train(config: Config, wanted: str) -> None:
    stages = TRAINING if wanted == "all" else {**TRAINING, **SINGLE}
    for name, stage in stages.items():
        if wanted in ("all", name):
            stage(config)


def _config(options: argparse.Namespace, output: Path) -> Config:
    """What decides the training, or the world whose models are measured."""
    if (options.stage == "folder") != (options.pictures is not None):
        raise ValueError("DIR: the folder of pictures; allowed: with the stage folder, and only with it")
    if options.stage == "folder":
        if options.steps < 1:
            raise ValueError(f"steps: {options.steps} is out of range; allowed: 1 or more")
        own = options.output or Path("runs") / options.pictures.resolve().name
        return folder(options.pictures, own, options.workdir or own / "training", options.steps)
    config = _config_of_world(options, output)
    if not options.from_shipped:
        return config
    shipped = folder_of(config, "generator")
    if not (shipped / "unet").exists():
        raise FileNotFoundError(f"no trained generator in {shipped}: train it without --from-shipped first")
    return dataclasses.replace(config, first_generator=shipped)


def _config_of_world(options: argparse.Namespace, output: Path) -> Config:
    if options.stage == "emoji" or options.world == "emoji":
        if options.stage in ("preference", "rahf") or options.smoke:
            raise ValueError("world: emoji has no preference judge, rahf or smoke training; allowed: scenes")
        return emoji(output, options.workdir or Path("runs/embedded-emoji"))
    config = smoke(output) if options.smoke else Config(output=output)
    return dataclasses.replace(config, workdir=options.workdir or config.workdir)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: of the command line; the process's own by default.

    Returns:
        Exit code: 0, 1 where a gate falls short, 2 on bad input.
    """
    options = _parser().parse_args(arguments)
    output = options.output or ROOT
    everything = options.stage in ("all", "emoji", "folder")
    try:
        config = _config(options, output)
        _train(config, "all" if everything else options.stage)
        if options.stage in ("all", "emoji", "evaluate"):
            gates = tuple(options.gate) if options.gate else None
            effort = SMOKE_EFFORT if options.smoke else 1.0
            passed = evaluate(output, config.world, gates, cards=options.cards or everything, effort=effort)
            return 0 if passed else 1
        if options.stage == "folder":
            print(f"now: fabric-bo generate PROMPT --model {config.output / 'generator'}")
    except (FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
