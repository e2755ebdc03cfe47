"""Options of the commands that have to do with rich feedback."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.commands.arguments import MODEL_HELP, STUDY_HELP, add_sampling
from experiments.commands.choices import MODEL, PRESETS
from experiments.commands.help import examples


def add_train_rahf(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo train-rahf`."""
    parser.usage = "fabric-bo train-rahf DATASET --format NAME --output FOLDER [options]"
    parser.epilog = examples(
        [
            "train-rahf richhf-18k/ --format richhf --pictures pick-a-pic/ --output rahf",
            "train-rahf rapidata/ --format rapidata --output rahf",
            "train-rahf evening --format studio --start rahf --output mine --steps 500",
        ]
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a file, a folder of files, or one of a session")
    about = "richhf: TFRecords of RichHF-18K; rapidata: parquet files of Rapidata's; studio: a session of fabric-bo"
    parser.add_argument("--format", choices=("richhf", "rapidata", "studio"), required=True, help=about)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="richhf: where the records' pictures are")
    parser.add_argument("--study", default="studio", metavar="NAME", help=STUDY_HELP)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="of the model and of its training")
    model = parser.add_argument_group("model")
    model.add_argument("--start", metavar="NAME", help="a trained model to go on from: a folder or a hub id")
    model.add_argument(
        "--vision", default="google/vit-base-patch16-384", metavar="NAME", help="pretrained encoder of pictures"
    )
    model.add_argument("--text", default="google-t5/t5-base", metavar="NAME", help="pretrained encoder of prompts")
    model.add_argument("--max-words", type=int, default=77, metavar="N", help="tokens of a prompt that are read")
    training = parser.add_argument_group("training")
    training.add_argument("--steps", type=int, default=20_000, metavar="N", help="of the optimiser")
    training.add_argument("--batch", type=int, default=32, metavar="N", help="pictures of a step")
    training.add_argument("--lr", type=float, default=1e-4, metavar="X", help="peak learning rate")
    training.add_argument("--held-out", type=float, default=0.1, metavar="X", help="share to measure the model on")
    training.add_argument("--seed", type=int, default=0, help="of weights, batches and what is held out")


def add_repair(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `fabric-bo repair`."""
    parser.usage = "fabric-bo repair PATH [PATH ...] [options]"
    parser.epilog = examples(
        [
            "repair generated/",
            'repair photo.jpg --checkpoint rahf --prompt "a cat in a hat" --model stable-diffusion-v1-5/...',
            "repair generated/ --liked likes/ --preset paper-target",
        ]
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH", help="pictures or folders")
    parser.add_argument(
        "--checkpoint",
        metavar="NAME",
        help="predictor of rich feedback: a folder or a hub id (default the embedded one for the embedded model)",
    )
    parser.add_argument("--prompt", help="what the pictures show (default what each PNG says it was made with)")
    parser.add_argument("--output", type=Path, default=Path("repaired"), metavar="FOLDER", help="of the PNG files")
    how = parser.add_argument_group("how")
    how.add_argument("--threshold", type=float, default=0.4, metavar="X", help="of the map, above which is filled")
    how.add_argument("--grow", type=float, default=0.03, metavar="X", help="of what is filled, in heights")
    how.add_argument("--fillings", type=int, default=4, metavar="N", help="of which the most plausible one is kept")
    how.add_argument("--denoise", type=float, default=0.5, metavar="X", help="how much of what was there is forgotten")
    how.add_argument("--seed", type=int, default=0, help="of the fillings")
    feedback = parser.add_argument_group("feedback")
    for name, does in (("liked", "come closer to"), ("disliked", "keep away from")):
        about = f"pictures or folders that fillings {does}"
        feedback.add_argument(f"--{name}", type=Path, nargs="+", default=[], metavar="PATH", help=about)
    feedback.add_argument("--preset", choices=PRESETS, help="the authors' settings (default strength 0.8, all steps)")
    model = parser.add_argument_group("model")
    model.add_argument("--model", default=MODEL, help=MODEL_HELP)
    model.add_argument("--steps", type=int, default=20, metavar="N", help="denoising steps")
    guidance = "of the prompt (default 4 for an embedded model, else 7)"
    model.add_argument("--guidance-scale", type=float, metavar="X", help=guidance)
    add_sampling(model)
