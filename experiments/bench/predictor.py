"""`fabric-bo bench predictor`: what the predictor of rich feedback owes to its task tokens and to the prompt.

Three models are trained from nothing on the same pictures in the same order, and measured on others: the shipped one's
kind, whose outputs have a task token each; one whose heads all read the mean of the image tokens; and one that does not
see the prompt. A training that broke off goes on.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.embedded.models.rahf import make_rich_pool, train_rahf
from experiments.embedded.training.config import Config
from experiments.rich_feedback.pool import RichPool
from experiments.rich_feedback.training import measure
from experiments.training.trainer import Schedule
from fabric.models import load

TASK_TOKENS, PLAIN_HEADS, PICTURE_ALONE = "task tokens", "plain heads", "picture alone"
_SEED = 0  # of the pool that the shipped model was trained on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--steps", type=int, default=500, help="of training")
    parser.add_argument("--batch", type=int, default=64, help="pictures of a step")
    parser.add_argument("--pictures", type=int, default=22000, help="to train on")
    parser.add_argument("--held-out", type=int, default=2000, help="pictures to measure on")
    parser.add_argument("--output", type=Path, default=Path("runs/embedded"), help="folder of the pictures")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what each model comes to.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"steps": (1, None), "batch": (2, None), "pictures": (2, None), "held_out": (2, None)})
    count = options.pictures + options.held_out
    pool, shown = make_rich_pool(options.output / "rich.safetensors", count, _SEED, load("embedded"))
    found = {
        name: trained_and_measured(name, seen, shown, options)
        for name, seen in {TASK_TOKENS: pool, PLAIN_HEADS: pool, PICTURE_ALONE: without_prompts(pool)}.items()
    }
    width = max(len(name) for values in found.values() for name in values) + 2
    print(f"{'':<{width}}" + "".join(f"{name:>16}" for name in found))
    for metric in found[TASK_TOKENS]:
        values = [values.get(metric) for values in found.values()]
        print(f"{metric:<{width}}" + "".join(f"{'-' if v is None else f'{v:.4f}':>16}" for v in values))
    keep_results("predictor", add_arguments, options, {"models": found})
    return 0


def without_prompts(pool: RichPool) -> RichPool:
    """The same pictures and labels; of their prompts nothing is seen, and no word is asked for."""
    return replace(pool, mask=torch.zeros_like(pool.mask), known=torch.zeros_like(pool.known))


def trained_and_measured(name: str, pool: RichPool, shown: Tensor, options: argparse.Namespace) -> dict[str, float]:
    """Trains a model on the first pictures and measures it on the others.

    Args:
        name: of the kind of model.
        pool: of pictures, N.
        shown: what they show, N x A.
        options: of the command line.

    Returns:
        The paper's metrics, by name.
    """
    rows = torch.arange(len(pool))
    first, last = rows[: options.pictures], rows[options.pictures :]
    schedule = Schedule(options.steps, options.batch, lr=1e-3, ema=0.995)
    config = replace(Config(), workdir=options.output / "predictor" / name.replace(" ", "-"), rahf=schedule)
    parts, _ = train_rahf(config, pool[first], shown[first], task_tokens=name != PLAIN_HEADS)
    return measure(parts, pool[last])
