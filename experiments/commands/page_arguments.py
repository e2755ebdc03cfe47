"""What can be typed after the commands that open a page: `fabric-bo studio` and `fabric-bo rate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.commands.arguments import STORAGE_HELP, STUDY_HELP, add_model
from experiments.commands.help import examples

RAHF_HELP = (
    "predictor of rich feedback that shows where images look faulty: a folder of fabric-bo train-rahf, a hub id, or "
    "none (default the embedded one for the embedded model, else none)"
)
AUTH_HELP = "name and password that the page asks everybody for (default FABRIC_BO_AUTH, which others cannot see)"


def add_studio(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo studio`."""
    parser.usage = "fabric-bo studio [options]"
    parser.epilog = examples(
        [
            "studio",
            "studio --folder evening --images 6",
            "studio --folder evening --blind tuned paper-preference",
            "studio --host 0.0.0.0    # with FABRIC_BO_AUTH=USER:PASSWORD in the environment",
        ]
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("studio"), help="of the session, which goes on where it was left"
    )
    parser.add_argument("--study", default="studio", metavar="NAME", help=STUDY_HELP)
    parser.add_argument("--storage", metavar="URL", help=STORAGE_HELP)
    parser.add_argument("--images", type=int, default=4, metavar="N", help="images of a round")
    parser.add_argument("--seed", type=int, default=0, help="of images and proposals")
    _add_blind(parser)
    model = parser.add_argument_group("model")
    add_model(model)
    model.add_argument("--steps", type=int, default=12, metavar="N", help="denoising steps")
    model.add_argument("--size", type=int, metavar="PIXELS", help="height and width (default the model's own)")
    guidance = "of images without feedback and of the first proposals (default 4 for an embedded model, else 7)"
    model.add_argument("--guidance", type=float, metavar="X", help=guidance)
    model.add_argument("--rahf", metavar="CHECKPOINT", help=RAHF_HELP)
    _add_server(parser, port=7860)


def _add_blind(parser: argparse.ArgumentParser) -> None:
    blind = parser.add_argument_group("blind comparison")
    blind.add_argument(
        "--blind",
        nargs=2,
        metavar="SETTINGS",
        help="judge two settings by pairs of images in random order; each is a YAML file, a preset, or tuned, "
        "the session's best",
    )
    blind.add_argument("--results", action="store_true", help="print what blind comparisons have found, and end")


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo rate`."""
    parser.usage = "fabric-bo rate FOLDER [options]"
    parser.epilog = examples(
        [
            "rate runs/optimize",
            "rate runs/optimize --host 0.0.0.0    # with FABRIC_BO_AUTH=USER:PASSWORD in the environment",
            "rate runs/optimize --raters",
            "rate runs/stars --storage postgresql://ann@db.example/runs    # of a run on other machines",
        ]
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a run with the objective human")
    parser.add_argument("--storage", metavar="URL", help="that has the run, where the folder is not here yet")
    parser.add_argument("--raters", action="store_true", help="print how strict and how steady each one is, and end")
    _add_server(parser, port=7861)


def _add_server(parser: argparse.ArgumentParser, port: int) -> None:
    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", help="to listen on; 0.0.0.0 opens the page to the network")
    server.add_argument("--port", type=int, default=port, help="to listen on; 0 takes any that is free")
    server.add_argument("--auth", metavar="USER:PASSWORD", help=AUTH_HELP)
