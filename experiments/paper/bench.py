"""Plays the arms of the paper's experiments, one after the other; what was played is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.comparison.arms import by_round
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.embedded.measures import AttributeVariety
from experiments.embedded.worlds import WORLDS
from experiments.files.atomic import atomic_write
from experiments.files.pictures import contact_sheet, save_png
from experiments.paper.arms import Kind, PaperArm
from experiments.paper.claims import ROUNDS, Record
from experiments.paper.tasks import Sources
from experiments.run.cached_generator import CachedGenerator
from experiments.run.plan import Plan
from experiments.run.play import Outcome, play
from experiments.run.protocol import Task
from objectives.base import Objective
from objectives.registry import BUILT_IN
from objectives.shared import SharedModels

OBJECTIVES: dict[Kind, str] = {"preference": "pickscore", "target": "clip-target", "contradicted": "clip-target"}
_SHEETS = 8  # prompts of an arm whose images are kept


@dataclass(frozen=True)
class Setup:
    """How arms are played.

    Attributes:
        sources: of the prompts, and the model.
        prompts: how many.
        steps: denoising steps.
        images: of a round.
        seed: of prompts and images.
        lora: file of a LoRA tuned for preference.
        batch: images generated at once.
        device: that generates.
        dtype: precision of the model.
        scheduler: of the diffusion.
    """

    sources: Sources
    prompts: int = 200
    steps: int = 20
    images: int = 4
    seed: int = 0
    lora: str | None = None
    batch: int = 16
    device: str | None = None
    dtype: str | None = None
    scheduler: str = "euler-a"

    def has(self, kind: Kind) -> bool:
        """Whether there are prompts for an experiment, and a scorer that knows the model's pictures."""
        entry = BUILT_IN[OBJECTIVES[kind]]
        return self.sources.has(kind) and (self.sources.model not in WORLDS or self.sources.model in entry.embedded)

    def config(self, kind: Kind, lora: bool) -> RunConfig:
        """Of an experiment, as that of a run."""
        model: dict[str, Any] = {"name": self.sources.model, "scheduler": self.scheduler}
        model |= {"device": self.device, "dtype": self.dtype}
        protocol = {
            "rounds": ROUNDS,
            "images": self.images,
            "steps": self.steps,
            "seed": self.seed,
            "batch": self.batch,
        }
        return check_config(
            {
                "model": {**model, "loras": {self.lora: 1.0} if lora else {}},
                "prompts": [""],  # the experiment's own are given to the plan
                "objective": OBJECTIVES[kind],
                "protocol": protocol,
            }
        )


class PaperBench:
    """Arms of experiments.

    Args:
        setup: how they are played.
        folder: of what was played.
        doing: told what is done.
    """

    def __init__(self, setup: Setup, folder: Path, doing: Callable[[str], None] = lambda text: None) -> None:
        self.setup = setup
        self.folder = folder
        self.doing = doing
        self._shared = SharedModels()
        self._tasks: dict[Kind, tuple[Task, ...]] = {}
        self._plans: dict[tuple[Kind, bool], Plan] = {}
        self._generators: dict[bool, CachedGenerator] = {}
        self._records: dict[tuple[Kind, PaperArm], Record] = {}

    def tasks(self, kind: Kind) -> tuple[Task, ...]:
        """Prompts of an experiment."""
        if kind not in self._tasks:
            self._tasks[kind] = tuple(self.setup.sources.tasks(kind, self.setup.prompts, self.setup.seed))
        return self._tasks[kind]

    def record(self, kind: Kind, arm: PaperArm) -> Record:
        """What an arm came to; played where that was not done before."""
        if (kind, arm) not in self._records:
            path = self.folder / "arms" / f"{self._key(kind, arm)}.json"
            if not path.exists():
                self._write(path, self._played(kind, arm))
            self._records[kind, arm] = _read(path)
        return self._records[kind, arm]

    def _key(self, kind: Kind, arm: PaperArm) -> str:
        """Name of what decides an arm's images and scores."""
        params = arm.params(kind, self._plan(kind, lora=False).config.guidance).to_dict()
        prompts = [task.prompt for task in self.tasks(kind)]
        values = [self._plan(kind, lora=arm.lora).config.model_dump(mode="json"), kind, params, arm.feedback, prompts]
        return f"{kind}-{hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]}"

    def _plan(self, kind: Kind, *, lora: bool) -> Plan:
        """An experiment as the plan of a run, made once, since it holds scorers that were read."""
        if (kind, lora) not in self._plans:
            self._plans[kind, lora] = Plan(self.setup.config(kind, lora), self.tasks(kind), self._shared)
        return self._plans[kind, lora]

    @cached_property
    def _measures(self) -> dict[str, Objective]:
        """What is measured besides, as far as its weights are at hand."""
        plan = self._plan("target" if self.setup.sources.has("target") else "preference", lora=False)
        found = {name: measure for name, measure in plan.measures.items() if not measure.needs & {"target"}}
        if (world := WORLDS.get(self.setup.sources.model)) is not None:
            variety = AttributeVariety(world)
            found[variety.name] = variety
        return found

    def _played(self, kind: Kind, arm: PaperArm) -> Record:
        plan = self._plan(kind, lora=arm.lora)
        if arm.lora not in self._generators:
            self._generators[arm.lora] = plan.generator()
        # Words are dropped from the first round on, as in the paper.
        protocol = replace(plan.protocol, feedback=arm.feedback, dropout_first=True)
        generator, params = self._generators[arm.lora].under(protocol), arm.params(kind, plan.config.guidance)
        tasks, outcomes = plan.tasks, list[Outcome]()
        at_once = max(1, protocol.batch // protocol.images)
        for start in range(0, len(tasks), at_once):
            self.doing(f"{kind}: {arm.name}, prompt {start + 1} of {len(tasks)}")
            outcomes += play(generator, [(task, params) for task in tasks[start : start + at_once]], plan.objectives)
        self._show(kind, arm, outcomes)
        scores = np.stack([outcome.scores[0] for outcome in outcomes])
        return Record(scores, {name: by_round(measure, tasks, outcomes) for name, measure in self._measures.items()})

    def _show(self, kind: Kind, arm: PaperArm, outcomes: list[Outcome]) -> None:
        """Writes a sheet of the first prompts: a row for each prompt, its rounds side by side."""
        pictures = [
            picture
            for outcome in outcomes[:_SHEETS]
            for round_ in outcome.session.rounds
            for picture in round_.pictures
        ]
        sheets = self.folder / "sheets"
        sheets.mkdir(parents=True, exist_ok=True)
        name = f"{kind}, {arm.name}".replace(" ", "-").replace(",", "")
        save_png(contact_sheet(pictures, ROUNDS * self.setup.images), sheets / f"{name}.png", {})

    def _write(self, path: Path, record: Record) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {"scores": record.scores.tolist(), "measures": {k: _plain(v) for k, v in record.measures.items()}}
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(values), encoding="utf-8")


def _plain(table: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[float | None]]:
    """Without NaN, which JSON does not have."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in table]


def _read(path: Path) -> Record:
    values = json.loads(path.read_text(encoding="utf-8"))
    measures = {name: np.array(table, dtype=np.float64) for name, table in values["measures"].items()}
    return Record(np.array(values["scores"], dtype=np.float64), measures)
