"""What settings are worth on held-out prompts and seeds, measured once and kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from experiments.embedded.measures import AttributeAgreement
from experiments.files.atomic import atomic_write
from experiments.run.cached_generator import CachedGenerator
from experiments.run.plan import Plan
from experiments.run.play import play
from experiments.run.protocol import Task
from fabric.params import FabricParams
from objectives.base import Objective

Values = dict[str, float]


class HeldOutJudge:
    """Measures settings on the held-out prompts of a plan: its objectives, and what a classifier says of the images.

    Args:
        plan: says which prompts and seeds.
        kept: JSON file of what was measured before; by default it is forgotten with the process.
    """

    def __init__(self, plan: Plan, kept: Path | None = None) -> None:
        self.tasks: tuple[Task, ...] = plan.held_out_tasks
        self.objective: Objective = plan.held_out_objectives[0]
        self.generator: CachedGenerator = plan.generator(plan.held_out_protocol)
        others = [measure for measure in plan.measures.values() if isinstance(measure, AttributeAgreement)]
        self._measured = [*plan.held_out_objectives, *others]
        self._kept = kept
        self._known: dict[str, Values] = {}
        if kept is not None and kept.exists():
            self._known = json.loads(kept.read_text(encoding="utf-8"))

    def __call__(self, params: FabricParams) -> Values:
        """Means over the held-out prompts, by the name of the objective or measure."""
        key = json.dumps(params.to_dict(), sort_keys=True)
        if not {measure.name for measure in self._measured} <= self._known.get(key, {}).keys():
            outcomes = play(self.generator, [(task, params) for task in self.tasks], self._measured)
            kind = self.generator.protocol.value
            self._known[key] = {
                measure.name: float(np.mean([outcome.value(kind, m) for outcome in outcomes]))
                for m, measure in enumerate(self._measured)
            }
            if self._kept is not None:
                self._kept.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(self._kept) as unfinished:
                    unfinished.write_text(json.dumps(self._known, indent=1), encoding="utf-8")
        return self._known[key]
