"""Prompts and targets of the paper's experiments: an embedded world's, or files of one's own. No data is shipped."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from experiments.embedded.worlds import WORLDS
from experiments.paper.arms import Kind
from experiments.run.protocol import Task
from experiments.run.tasks import HIDDEN_TARGETS
from fabric.images import read_picture

Item = TypeVar("Item")
_LIST = "prompts.csv"  # of a folder of pictures with prompts: columns image and prompt


@dataclass(frozen=True)
class Sources:
    """Where prompts are from.

    Attributes:
        model: that generates.
        prompts: JSON file of prompts for the experiment of preference, in the form of HPS's `preference_test.json`.
        pairs: folder of target pictures with their prompts, for the experiment of targets.
    """

    model: str
    prompts: Path | None = None
    pairs: Path | None = None

    def tasks(self, kind: Kind, count: int, seed: int) -> list[Task]:
        """Prompts of an experiment.

        Args:
            kind: the experiment.
            count: how many.
            seed: which of them.

        Raises:
            ValueError: there are not so many, or none for this experiment; the message says what to give.
        """
        if kind == "preference" and self.prompts is not None:
            return [Task(prompt) for prompt in _some(read_prompts(self.prompts), count, seed, self.prompts)]
        if kind == "target" and self.pairs is not None:
            return _some(read_pairs(self.pairs), count, seed, self.pairs)
        world = WORLDS.get(self.model)
        if world is None:
            option = {"preference": "--prompt-file", "target": "--pairs"}.get(kind, "an embedded model")
            raise ValueError(f"model: {self.model} has no prompts of its own for the experiment {kind}; give {option}")
        return HIDDEN_TARGETS[world.name].single_targets(count, seed, kind == "contradicted")

    def has(self, kind: Kind) -> bool:
        """Whether there are prompts for an experiment."""
        given = {"preference": self.prompts, "target": self.pairs}.get(kind)
        return given is not None or self.model in WORLDS


def read_prompts(path: Path) -> list[str]:
    """Prompts of an HPS file, without those that name people; a space is put behind commas and dots that lack one.

    Args:
        path: JSON list of objects with `prompt`, and `contain_name` where a person is named.

    Raises:
        ValueError: the file is not as it should be.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = [row["prompt"] for row in rows if not row.get("contain_name")]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"prompt-file: {path} cannot be read ({error}); allowed: a JSON list of prompts") from error
    return [re.sub(r"([,.])(?=[^\s\d])", r"\1 ", str(prompt)).strip() for prompt in dict.fromkeys(found)]


def read_pairs(folder: Path) -> list[Task]:
    """Target pictures with their prompts.

    Args:
        folder: with `prompts.csv`, whose columns are `image` and `prompt`, and the pictures.

    Raises:
        ValueError: the list or a picture is missing.
    """
    path = folder / _LIST
    if not path.is_file():
        raise ValueError(f"pairs: {folder} has no {_LIST}; allowed: a folder with one, of the columns image and prompt")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"image", "prompt"} <= rows[0].keys():
        raise ValueError(f"pairs: {path} has no rows of the columns image and prompt")
    return [Task(row["prompt"], (read_picture(folder / row["image"]),)) for row in rows]


def _some(found: Sequence[Item], count: int, seed: int, path: Path) -> list[Item]:
    """So many, in an order that the seed decides."""
    if len(found) < count:
        raise ValueError(f"prompts: {count}; allowed: 1 to {len(found)}, those of {path}")
    return [found[place] for place in np.random.default_rng(seed).permutation(len(found))[:count]]
