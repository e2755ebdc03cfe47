"""`fabric-bo repair`: pictures whose faulty places are filled anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.commands.choices import SCHEDULERS
from experiments.commands.result import CommandResult
from experiments.config.schema import guidance_of
from experiments.files.pictures import read_facts, save_png
from experiments.rich_feedback.repair import Repairer, RepairSettings
from experiments.run.progress import Progress
from fabric.images import FeedbackImage, find_pictures, read_picture
from fabric.models import checked_device, load
from fabric.params import FabricParams, preset
from objectives.checkpoints import TRAINED_RAHF, embedded_rahf, locate
from objectives.rahf.predictor import RahfPredictor


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The files that were written; a picture in which nothing is marked, or of which no filling is more plausible, is
        written as it is.

    Raises:
        ValueError: an option is wrong; the message is one line.
    """
    settings = RepairSettings(options.threshold, options.grow, options.fillings, options.denoise, options.steps)
    params = _params(options)
    device = checked_device(options.device)
    paths = find_pictures(*options.images)
    pictures = [read_picture(path) for path in paths]
    prompts = [options.prompt or (read_facts(path) or {}).get("prompt") for path in paths]
    for path, prompt in zip(paths, prompts, strict=True):
        if prompt is None:
            raise ValueError(f"prompt: {path} does not say what it was made with; allowed: --prompt, what it shows")
    liked, disliked = (
        [FeedbackImage(read_picture(path)) for path in find_pictures(*given)]
        for given in (options.liked, options.disliked)
    )
    predictor = RahfPredictor(locate(_checkpoint(options), "rahf"), str(device))
    progress.doing("loading the models")
    predictor.prepare()
    pipeline = load(
        options.model, scheduler=options.scheduler or SCHEDULERS[0], device=options.device, dtype=options.dtype
    )
    repairer = Repairer(pipeline, predictor, settings)
    options.output.mkdir(parents=True, exist_ok=True)
    lines, rows = [], []
    for place, (path, picture, prompt) in enumerate(zip(paths, pictures, prompts, strict=True)):
        progress.doing(f"repairing {place + 1} of {len(paths)}")
        found = repairer(picture, str(prompt), params, options.seed, liked, disliked)
        file = options.output / f"{path.stem}.png"
        save_png(found.picture, file, {})
        save_png(found.mask, _masks(options.output) / file.name, {})
        lines.append(f"{file}: {found.marked:.1%} marked, plausibility {found.before:.2f} to {found.after:.2f}")
        rows.append({"file": str(file), "marked": found.marked, "before": found.before, "after": found.after})
    return CommandResult("\n".join(lines), rows)


def _checkpoint(options: argparse.Namespace) -> str:
    """Of the predictor."""
    chosen: str | None = options.checkpoint or embedded_rahf(options.model)
    if chosen is None:
        raise ValueError(f"checkpoint: none, and none is published; allowed: {TRAINED_RAHF}")
    return chosen


def _params(options: argparse.Namespace) -> FabricParams:
    """FABRIC's settings and the guidance."""
    values = preset(options.preset, options.steps).to_dict() if options.preset else {}
    guidance = guidance_of(options.model) if options.guidance_scale is None else options.guidance_scale
    return FabricParams.from_dict({**values, "guidance_scale": guidance})


def _masks(folder: Path) -> Path:
    """In a folder of its own, so that the pictures' folder can be given to another command."""
    masks = folder / "masks"
    masks.mkdir(exist_ok=True)
    return masks
