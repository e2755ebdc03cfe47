"""What can be typed after `fabric-bo optimize` and `resume`; imports nothing that takes time."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from experiments.commands.arguments import DEVICE_HELP, MODEL_HELP, SCHEDULER_HELP, STORAGE_HELP
from experiments.commands.choices import SAMPLERS, VALUES, WORLDS
from experiments.commands.help import WIDTH, examples, knob_list


def add_optimize(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo optimize`; what is not given is as the file says, else the default."""
    parser.usage = "fabric-bo optimize [CONFIG] [options]"
    parser.description = textwrap.fill(
        "Finds settings of FABRIC that an objective likes. A run is described by a YAML file, by options, or by both, "
        "of which options win. The same command goes on where a run was left.",
        WIDTH,
    )
    its = examples(
        [
            "optimize run.yaml --dry-run",
            "optimize run.yaml",
            'optimize --prompt "a red star" --target star.png --trials 20 --output runs/star',
            "optimize --scenes 4 --space strength=0.05:8:log guidance_scale=1.5:8 --minutes 10",
        ]
    )
    parser.epilog = f"{knob_list()}\n\n{its}"
    parser.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help="YAML file that describes the run")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and about how long it would take")
    _add_tasks(parser)
    _add_search(parser)
    _add_trial(parser)
    where = parser.add_argument_group("where it is kept")
    where.add_argument("--output", metavar="FOLDER", help="of study, images and report (default runs/optimize)")
    where.add_argument("--storage", metavar="URL", help=STORAGE_HELP)
    where.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="PLACE=VALUE",
        help="any value of the configuration, as protocol.batch=8 or held_out.seed=5",
    )


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_argument_group("what is asked for")
    tasks.add_argument("--prompt", nargs="+", metavar="PROMPT", help="what to show, instead of the file's prompts")
    for option, about in {
        "--target": "pictures or folders to come close to",
        "--liked": "pictures or folders that are liked from the start",
        "--disliked": "pictures or folders that are disliked from the start",
    }.items():
        tasks.add_argument(option, nargs="+", metavar="PATH", help=f"{about}, for every --prompt")
    tasks.add_argument("--scenes", type=int, metavar="N", help="number of hidden targets of a world, no prompts")
    tasks.add_argument("--world", choices=WORLDS, help="of hidden targets (default the one that the model knows)")
    tasks.add_argument(
        "--objective",
        nargs="+",
        metavar="NAME",
        help="what an image is worth, see `fabric-bo objectives`; several make a front (default clip-target)",
    )


def _add_search(parser: argparse.ArgumentParser) -> None:
    search = parser.add_argument_group("what is tried, and how long")
    search.add_argument(
        "--space",
        nargs="+",
        metavar="KNOB=LOW:HIGH[:log]",
        help="knobs that the model's family has, to be sought, each in a range; log spaces it by the logarithm "
        "(default strength, neg_scale, start, end, bottleneck, recency, crowding, prompt_dropout, guidance_scale)",
    )
    search.add_argument("--fix", nargs="+", metavar="KNOB=VALUE", help="knobs that are not sought")
    search.add_argument(
        "--sampler",
        metavar="NAME",
        help=f"what proposes: {SAMPLERS[0]}, or one of Optuna's: {', '.join(SAMPLERS[1:])} (default {SAMPLERS[0]})",
    )
    search.add_argument(
        "--from",
        dest="others",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN",
        help="folders of other runs: what they recommend is tried first, after the presets",
    )
    search.add_argument("--trials", type=int, metavar="N", help="settings to try at most (default 30)")
    search.add_argument("--max-images", type=int, metavar="N", help="images to generate at most (default no limit)")
    search.add_argument("--minutes", type=float, metavar="X", help="time to take at most (default no limit)")
    search.add_argument("--seed", type=int, help="of the sampler (default 0)")
    search.add_argument(
        "--workers", type=int, metavar="N", help="processes, a GPU each, placed by Ray: fabric-bo[ray] (default 1)"
    )


def _add_trial(parser: argparse.ArgumentParser) -> None:
    trial = parser.add_argument_group("how a setting is tried")
    trial.add_argument("--rounds", type=int, metavar="N", help="rounds of feedback for each prompt (default 3)")
    trial.add_argument("--images", type=int, metavar="N", help="images of a round (default 4)")
    trial.add_argument("--steps", type=int, metavar="N", help="denoising steps (default 20)")
    trial.add_argument(
        "--value",
        choices=VALUES,
        help="what a prompt is worth: the mean of its last round, its best image, or the mean of all (default last)",
    )
    trial.add_argument("--model", help=f"{MODEL_HELP} (default embedded)")
    trial.add_argument(
        "--scheduler", metavar="NAME", help=f"{SCHEDULER_HELP}; of a transformer own is usual (default euler-a)"
    )
    trial.add_argument("--device", help=DEVICE_HELP)


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo resume`."""
    parser.usage = "fabric-bo resume FOLDER [options]"
    parser.epilog = examples(["resume runs/stars", "resume runs/stars --trials 60", "resume runs/stars --minutes 30"])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a run")
    parser.add_argument("--trials", type=int, metavar="N", help="settings to try, with those tried (default the run's)")
    parser.add_argument(
        "--minutes", type=float, metavar="X", help="time to take at most, with that taken (default the run's)"
    )


def add_worker(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo worker`."""
    parser.usage = "fabric-bo worker NAME [options]"
    parser.epilog = examples(
        [
            "worker stars --storage postgresql://ann@db.example/runs",
            "worker stars --device cuda:1    # with FABRIC_BO_STORAGE in the environment",
        ]
    )
    parser.add_argument("name", metavar="NAME", help="of the run, as fabric-bo runs lists it")
    parser.add_argument("--storage", metavar="URL", help=_SHARED)
    parser.add_argument("--device", help=DEVICE_HELP)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="for what is kept here (default runs/NAME)")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo runs`."""
    parser.usage = "fabric-bo runs [options]"
    parser.epilog = examples(["runs --storage postgresql://ann@db.example/runs", "runs    # with FABRIC_BO_STORAGE"])
    parser.add_argument("--storage", metavar="URL", help=_SHARED)


def add_serve_storage(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo serve-storage`."""
    parser.usage = "fabric-bo serve-storage [options]"
    parser.epilog = examples(
        [
            "serve-storage --storage sqlite:////data/runs.db",
            "serve-storage --host 10.0.0.5    # with FABRIC_BO_STORAGE; workers: --storage grpc://10.0.0.5:13000",
        ]
    )
    parser.add_argument("--storage", metavar="URL", help=_SHARED)
    parser.add_argument(
        "--host", default="127.0.0.1", help="to listen on; whoever reaches it can read and change all runs"
    )
    parser.add_argument("--port", type=int, default=13000, help="to listen on")


_SHARED = "database that several runs and workers share (default FABRIC_BO_STORAGE, which others cannot see)"
