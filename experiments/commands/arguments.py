"""What can be typed after `fabric-bo`; imports nothing that takes time, so that help is there at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.commands.choices import DTYPES, MODEL, PRESETS, SCHEDULERS
from experiments.commands.help import examples, knob_help
from fabric.knobs import KNOBS

MODEL_HELP = "what generates: embedded, embedded-emoji, a hub id, a folder in diffusers' layout or a .safetensors file"
DEVICE_HELP = "cuda, mps or cpu (default the best there is)"


def add_generate(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo generate`."""
    parser.usage = "fabric-bo generate PROMPT [PROMPT ...] [options]"
    parser.epilog = examples(
        [
            'generate "a red star at night" --num-images 4',
            'generate "a red star at night" --liked likes/ --disliked blurry.png --strength 0.8',
            'generate "a red star at night" --liked likes/ --params runs/stars/best.yaml',
            'generate "a cat in a hat" --model stable-diffusion-v1-5/stable-diffusion-v1-5',
        ]
    )
    parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="what to show; may be empty")
    parser.add_argument("--negative-prompt", default="", metavar="PROMPT", help="what not to show")
    parser.add_argument("--num-images", type=int, default=1, metavar="N", help="images of each prompt")
    parser.add_argument("--seed", type=int, default=0, help="of a prompt's first image; the next one has the next seed")
    parser.add_argument("--output", type=Path, default=Path("generated"), metavar="FOLDER", help="of the PNG files")
    parser.add_argument("--dry-run", action="store_true", help="say what would be generated and what memory it takes")
    _add_feedback(parser)
    model = parser.add_argument_group("model")
    add_model(model)
    model.add_argument("--steps", type=int, default=20, metavar="N", help="denoising steps")
    model.add_argument("--size", metavar="WIDTHxHEIGHT", help="in pixels (default the model's own)")
    model.add_argument("--batch", type=int, default=4, metavar="N", help="images that are generated together")


def add_model(group: argparse._ArgumentGroup) -> None:
    """Declares what generates, and where."""
    group.add_argument("--model", default=MODEL, help=MODEL_HELP)
    group.add_argument("--model-config", metavar="NAME", help="folder or hub id with a single file's configuration")
    group.add_argument(
        "--lora",
        nargs="+",
        type=_lora,
        default=[],
        metavar="FILE[:SCALE]",
        help="LoRAs, their scales 1 by default",
    )
    add_sampling(group)
    group.add_argument(
        "--level",
        type=_level,
        metavar="X",
        help="noise at which pictures are shown: 0 (none) to 1 in all steps, or each for that of each step "
        "(default as is usual for the model's family)",
    )
    group.add_argument(
        "--layers",
        type=_layers,
        metavar="FIRST:END",
        help="layers that see pictures, counted from 0, without the last (default as is usual for the model's family)",
    )
    group.add_argument("--offload", action="store_true", help="keep references in main memory, not on the device")


def _level(text: str) -> float | str:
    """A number, or "each"."""
    return text if text == "each" else float(text)


def _layers(text: str) -> tuple[int, int]:
    """Two numbers of `FIRST:END`."""
    first, _, end = text.partition(":")
    return int(first), int(end)


def _lora(text: str) -> tuple[str, float]:
    """File and scale of `FILE[:SCALE]`; the scale is 1 where it is not given."""
    name, colon, scale = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        return name, float(scale)
    except ValueError:
        return text, 1.0


def _add_feedback(parser: argparse.ArgumentParser) -> None:
    feedback = parser.add_argument_group("feedback")
    feedback.add_argument(
        "--liked", type=Path, nargs="+", default=[], metavar="PATH", help="pictures or folders to come closer to"
    )
    feedback.add_argument(
        "--disliked", type=Path, nargs="+", default=[], metavar="PATH", help="pictures or folders to keep away from"
    )
    feedback.add_argument(
        "--library",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="pictures or folders of which those nearest to each prompt are liked; how many --params says, else 4",
    )
    feedback.add_argument("--preset", choices=PRESETS, help="the authors' settings, which single knobs then change")
    feedback.add_argument("--params", type=Path, metavar="FILE", help="settings from a YAML file, as a run's best.yaml")
    knobs = parser.add_argument_group("knobs", "How the liked and disliked pictures steer; see also --preset.")
    for knob in KNOBS.values():
        option = f"--{knob.name.replace('_', '-')}"
        if knob.by_picture:
            about = f"{knob_help(knob)} A picture is named by its file's name here."
            knobs.add_argument(option, nargs="+", default=[], metavar="PICTURE=X", help=about)
        else:
            knobs.add_argument(option, type=float, metavar="X", help=knob_help(knob))


def add_sampling(group: argparse._ArgumentGroup) -> None:
    """Declares scheduler, device and precision."""
    group.add_argument(
        "--scheduler",
        metavar="NAME",
        choices=SCHEDULERS,
        help=f"{SCHEDULER_HELP}; of a transformer own is usual (default {SCHEDULERS[0]})",
    )
    group.add_argument("--device", help=DEVICE_HELP)
    group.add_argument("--dtype", choices=DTYPES, help="precision (default half on a GPU, single on the CPU)")


SCHEDULER_HELP = f"sampler of the diffusion: {', '.join(SCHEDULERS)}"


def add_score(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo score`."""
    parser.usage = "fabric-bo score PATH [PATH ...] --objective NAME [NAME ...] [options]"
    parser.epilog = examples(
        [
            "score generated/ --objective pickscore clip-prompt",
            "score generated/ --objective clip-target --target star.png --output scores.csv",
            'score photo.jpg --objective pickscore --prompt "a cat in a hat"',
            "score generated/ --objective mine.py:brightness",
        ]
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH", help="pictures or folders")
    parser.add_argument(
        "--objective",
        nargs="+",
        required=True,
        metavar="NAME",
        help="what to score with: names of `fabric-bo objectives`, or module:attribute of your own",
    )
    parser.add_argument("--checkpoint", help="of the objective's model (default embedded for pictures that it made)")
    parser.add_argument("--prompt", help="of all the pictures (default what each PNG says it was made with)")
    parser.add_argument("--target", nargs="+", type=Path, default=[], metavar="PATH", help="pictures to come close to")
    parser.add_argument("--liked", nargs="+", type=Path, default=[], metavar="PATH", help="liked pictures or folders")
    parser.add_argument(
        "--disliked", nargs="+", type=Path, default=[], metavar="PATH", help="disliked pictures or folders"
    )
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="a picture made without feedback, for objectives of gain"
    )
    parser.add_argument("--device", default="cpu", help="of the objective's model: cpu, cuda or mps")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a .csv or .json file to write to as well")


def add_objectives(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo objectives`: none of its own."""
    parser.usage = "fabric-bo objectives [options]"
    parser.epilog = examples(["objectives"])


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo compare`."""
    parser.usage = "fabric-bo compare SOURCE [options]"
    parser.epilog = examples(
        [
            "compare runs/stars",
            "compare runs/stars --params mine.yaml",
            "compare runs/stars --workers 4",
            "compare run.yaml --params a/best.yaml b/best.yaml --output both",
        ]
    )
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="folder of a run, or a YAML configuration (then with --params)"
    )
    parser.add_argument(
        "--params",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files of settings to compare (default what the run recommends)",
    )
    parser.add_argument(
        "--seed", type=int, help="of the images, not the run's own (default held_out.seed of the configuration)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes, a GPU each, placed by Ray: fabric-bo[ray] (default the run's)",
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="to write to (default the run's)")


def add_personalise(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo personalise`."""
    parser.usage = "fabric-bo personalise CONFIG [options]"
    parser.epilog = examples(["personalise personal.yaml", "personalise personal.yaml --output mine"])
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file: model, references, prompts, validation")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="of what is trained (default the configuration's)"
    )


def add_paper(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo paper`."""
    parser.usage = "fabric-bo paper [E2 E5 ...] [options]"
    parser.epilog = examples(
        [
            "paper --smoke",
            "paper E2 E3 E4 --prompts 100",
            "paper --model stable-diffusion-v1-5/stable-diffusion-v1-5 --prompt-file hps.json --pairs pairs/",
        ]
    )
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="E2 to E11 (default all)")
    parser.add_argument("--prompts", type=int, default=200, metavar="N", help="of each experiment")
    parser.add_argument("--prompt-file", type=Path, metavar="FILE", help="JSON of prompts, as HPS has them")
    parser.add_argument("--pairs", type=Path, metavar="FOLDER", help="target pictures, with prompts.csv: image,prompt")
    parser.add_argument("--seed", type=int, default=0, help="of prompts and images")
    parser.add_argument("--smoke", action="store_true", help="4 prompts and 2 steps, to see that everything works")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("paper"),
        metavar="FOLDER",
        help="of the page, and of what was played so far",
    )
    model = parser.add_argument_group("model")
    model.add_argument("--model", default=MODEL, help=MODEL_HELP)
    model.add_argument("--preference-lora", metavar="FILE", help="a LoRA tuned for preference, for E10")
    model.add_argument("--steps", type=int, default=20, metavar="N", help="denoising steps")
    model.add_argument("--batch", type=int, default=16, metavar="N", help="images that are generated together")
    add_sampling(model)


def add_report(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo report`."""
    parser.usage = "fabric-bo report FOLDER [options]"
    parser.epilog = examples(["report runs/stars", "report evening --output evening.html"])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a run, or of a session of the studio")
    parser.add_argument("--study", default="studio", metavar="NAME", help=STUDY_HELP)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="HTML file to write (default report.html in the folder)"
    )


STUDY_HELP = "name of the session, where the folder holds several"
STORAGE_HELP = (
    "database of the study, as postgresql://USER@HOST/NAME; its password is written nowhere, so give the URL in "
    "FABRIC_BO_STORAGE where there is one (default FABRIC_BO_STORAGE, else an SQLite file in the folder)"
)
