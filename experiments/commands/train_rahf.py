"""`fabric-bo train-rahf`: a predictor of rich feedback of one's own data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from experiments.commands.result import CommandResult
from experiments.rich_feedback.pool import RichPool, pool_of
from experiments.rich_feedback.session import read_session
from experiments.rich_feedback.training import RahfParts, known_parts, measure, new_parts, train
from experiments.run.progress import Progress
from experiments.training.trainer import Schedule
from fabric.seeding import generator_for
from objectives.rahf.datasets import LabelledPicture, read_rapidata, read_richhf

_ENDINGS = {"richhf": "*.tfrecord*", "rapidata": "*.parquet"}
_FEWEST = 4  # pictures, of which two are held out


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The folder of the model, and how well it predicts pictures that it was not trained on.

    Raises:
        ValueError: an option or the dataset is wrong; the message is one line.
    """
    _check(options)
    labelled = _read(options)
    parts = _parts(options, progress)
    progress.doing("reading pictures")
    pool = pool_of(labelled, parts.processor, parts.tokenizer, parts.side, parts.length)
    if len(pool) < _FEWEST:
        raise ValueError(f"dataset: {len(pool)} usable pictures; allowed: {_FEWEST} or more")
    own, held_out = _split(pool, options.held_out, options.seed)
    progress.doing(f"training on {len(own)} pictures")
    schedule = Schedule(options.steps, options.batch, options.lr)
    seconds = train(parts, own, schedule, options.output / "training", options.seed)
    found = measure(parts, held_out)
    parts.model.cpu()
    parts.save(options.output)
    lines = [f"{options.output}, trained for {seconds:.0f} s on {len(own)} pictures; on {len(held_out)} others:"]
    lines += [f"  {name:<26}{value:>7.3f}" for name, value in found.items()]
    lines.append(f"now: fabric-bo score IMAGE --objective rahf-plausibility --checkpoint {options.output}")
    values = {"output": str(options.output), "pictures": len(own), "held_out": len(held_out), "figures": found}
    return CommandResult("\n".join(lines), values)


def _check(options: argparse.Namespace) -> None:
    if options.steps < 1 or options.batch < 1 or not options.lr > 0:
        given = f"{options.steps}, {options.batch}, {options.lr:g}"
        raise ValueError(f"steps, batch, lr: {given}; allowed: 1 or more steps, 1 or more pictures, a rate above 0")
    if not 0 < options.held_out < 1:
        raise ValueError(f"held-out: {options.held_out:g} is out of range; allowed: a share between 0 and 1")
    if options.format == "richhf" and options.pictures is None:
        raise ValueError("pictures: RichHF-18K has none; allowed: the folder of those of Pick-a-Pic that it names")


def _read(options: argparse.Namespace) -> Iterator[LabelledPicture]:
    """The dataset's pictures with their labels."""
    if not options.dataset.exists():
        raise ValueError(f"dataset: {options.dataset} does not exist")
    if options.format == "studio":
        return read_session(options.dataset, options.study)
    files = _files(options.dataset, _ENDINGS[options.format])
    return read_richhf(files, options.pictures) if options.format == "richhf" else read_rapidata(files)


def _files(path: Path, ending: str) -> list[Path]:
    """The file itself, or those of a folder."""
    found = sorted(path.rglob(ending)) if path.is_dir() else [path]
    if not found:
        raise ValueError(f"dataset: {path} has no file {ending}")
    return found


def _parts(options: argparse.Namespace, progress: Progress) -> RahfParts:
    """The model that is trained."""
    progress.doing("loading the model")
    if options.start is not None:
        return known_parts(options.start)
    return new_parts(options.vision, options.text, options.max_words, options.seed)


def _split(pool: RichPool, share: float, seed: int) -> tuple[RichPool, RichPool]:
    """Pictures to train on, and those that are held out: two at least."""
    order = torch.randperm(len(pool), generator=generator_for(seed, "held out"))
    count = min(len(pool) - 2, max(2, round(share * len(pool))))
    return pool[order[count:]], pool[order[:count]]
