"""`fabric-bo personalise`: fine-tunes to liked pictures, which FABRIC steers by without training."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable, Mapping

from experiments.commands.result import CommandResult
from experiments.config.errors import checked
from experiments.config.read import read_values
from experiments.files.atomic import atomic_write
from experiments.personal.config import PersonalConfig
from experiments.personal.material import read_material
from experiments.personal.rewards import Scorers
from experiments.personal.tune import History, Tuner
from experiments.run.progress import Progress
from fabric.models import checked_device, load
from objectives.registry import create
from objectives.shared import SharedModels


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        What was trained, with the validation rewards on the way.

    Raises:
        ValueError: the configuration is wrong; the message is one line.
    """
    values = read_values(options.config)
    if options.output is not None:
        values["output"] = str(options.output)
    config = checked(PersonalConfig, values)
    material = read_material(config)
    device, shared = str(checked_device(config.model.device)), SharedModels()
    image, text = (create(name, None, device, config.model.name, shared) for name in ("clip-target", "clip-prompt"))
    progress.doing("loading the models")
    image.prepare()
    text.prepare()
    model = config.model
    pipeline = load(
        model.name,
        scheduler=model.scheduler,
        device=model.device,
        dtype="float32",  # gradients of the small weights vanish in half precision
        loras=tuple(model.loras.items()),
        config=model.config,
    )
    tuner = Tuner(pipeline, config, material, Scorers(image, text))
    progress.doing(f"generating images of {len(material.prompts)} prompts")
    tuner.prepare()
    history = tuner.fit(config.output / "training", _shown(config, progress))
    file = tuner.export(config.output)
    best = max(history.looks, key=lambda step: history.looks[step])
    kept = best if config.early_stopping else config.steps
    found = {"file": str(file), "rewards": history.looks, "kept": kept, "config": config.model_dump(mode="json")}
    with atomic_write(config.output / "personal.json") as unfinished:
        unfinished.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return CommandResult("\n".join(_lines(config, history, kept, str(file))), found)


def _shown(config: PersonalConfig, progress: Progress) -> Callable[[int, Mapping[str, float]], None]:
    """Shows the step, the latest reward and the time left."""
    began, started = time.monotonic(), list[int]()
    latest = {"reward": 0.0}

    def show(step: int, parts: Mapping[str, float]) -> None:
        latest.update(parts)
        started.append(step)  # a training that is taken up again does not begin at 0
        seconds, first = time.monotonic() - began, started[0]
        left = f", {(config.steps - step) * seconds / (step - first) / 60:.0f} min left" if step > first else ""
        progress.doing(f"step {step} of {config.steps}, validation reward {latest['reward']:.4f}{left}")

    return show


def _lines(config: PersonalConfig, history: History, kept: int, file: str) -> list[str]:
    first, option = history.looks[0], "--lora" if config.rank else "--model"
    lines = [
        f"validation reward: {first:.4f} untrained, {history.looks[kept]:.4f} at step {kept}, which is kept",
        f"written to: {file}",
        f"next: fabric-bo generate PROMPT {option} {shlex.quote(file)}",
    ]
    if kept == 0:
        lines.insert(1, "no step was better than none: the result is the model as it was")
    return lines
