"""What a comparison found: differences of the first arm to all others, paired by task; as plain values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from experiments.comparison.arms import PLAIN, WITHOUT, Arm, Measured
from experiments.comparison.preference import ArmPreference
from experiments.config.setting import read_settings
from experiments.intervals import Difference, paired_difference
from experiments.run.protocol import Scores, task_value

BEST_OF = "best of {count}"


@dataclass(frozen=True)
class Comparison:
    """All arms on the same held-out tasks.

    Attributes:
        value: what a task is worth; see `Protocol.value`.
        prompts: of the tasks.
        held_out: whether the run never saw them; else only the seeds are fresh.
        arms: the first is the tuned one that the others are compared with.
        differences: tuned minus each arm, and minus best-of-N, by objective; empty where people alone compare.
        constraints: what tuned settings must keep to, over no feedback, by objective.
        preferences: what people prefer who were shown pairs.
    """

    value: str
    prompts: list[str]
    held_out: bool
    arms: list[Measured]
    differences: dict[str, dict[str, Difference]]
    constraints: dict[str, float] = field(default_factory=dict)
    preferences: list[ArmPreference] = field(default_factory=list)

    @property
    def best_preset(self) -> str | None:
        """The preset of the highest mean by the first objective: chosen on these very tasks, so in its favour.

        None where nothing scores.
        """
        if not self.differences:
            return None
        objective = next(iter(self.differences))
        presets = [measured for measured in self.arms if measured.arm.kind == "preset"]
        return max(presets, key=lambda measured: task_values(measured.scores[objective], self.value).mean()).arm.name

    @property
    def verdict(self) -> str:
        """A sentence with numbers on the scores, and one on each arm that people compared."""
        said = [preference.verdict for preference in self.preferences]
        return " ".join([self._scored(), *said] if self.differences else said)

    def _scored(self) -> str:
        """What the first objective says."""
        objective, found = next(iter(self.differences.items()))
        best = next(name for name in found if name.startswith("best of"))
        known = next((measured.arm.name for measured in self.arms if measured.arm.kind == "best known"), None)
        over_known = f"over the {known} of its own prompts {found[known]}, " if known is not None else ""
        assert self.best_preset is not None, "there are scores"
        fixed = found[self.best_preset]
        mean = task_values(self.arms[0].scores[objective], self.value).mean()
        whose = "held-out" if self.held_out else "of the run's own"
        return (
            f"On {fixed.pairs} {whose} prompts with fresh seeds, {self.arms[0].arm.name} ({objective} {mean:.3f}) "
            f"{fixed.verb} the best fixed preset ({self.best_preset}): {fixed}, better on {fixed.wins:.0%} of prompts; "
            f"{over_known}over no feedback {found[PLAIN]}, over itself with the feedback taken out {found[WITHOUT]}, "
            f"its best image over the {best} images without feedback {found[best]} (95 % intervals)."
            + "".join(f" {self._kept(name)}" for name in self.constraints)
        )

    def _kept(self, constraint: str) -> str:
        """A sentence: whether a constraint holds on these tasks."""
        least, over = self.constraints[constraint], self.differences[constraint][PLAIN]
        how = "is kept" if over.low >= least else "is broken" if over.high < least else "is not shown to be kept"
        return f"The constraint {how}: {constraint} over no feedback {over}, at least {least:+g} is asked for."

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "value": self.value,
            "best_preset": self.best_preset,
            "prompts": self.prompts,
            "held_out": self.held_out,
            "constraints": self.constraints,
            "preferences": [preference.to_dict() for preference in self.preferences],
            "differences": {
                objective: {name: _numbers(difference) for name, difference in found.items()}
                for objective, found in self.differences.items()
            },
            "arms": [
                {
                    "name": measured.arm.name,
                    "kind": measured.arm.kind,
                    "params": measured.arm.params.to_dict(),
                    "scores": {name: table.tolist() for name, table in measured.scores.items()},
                    "measures": {name: _without_nan(table) for name, table in measured.measures.items()},
                    "seconds": measured.seconds,
                    "pictures": measured.pictures,
                }
                for measured in self.arms
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_dict` made plain values of.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: they are none of a comparison.
        """
        differences = {
            objective: {name: _difference(numbers) for name, numbers in found.items()}
            for objective, found in values["differences"].items()
        }
        arms = [_measured(arm) for arm in values["arms"]]
        constraints = dict(values.get("constraints", {}))  # comparisons had neither once
        said = [ArmPreference.from_dict(each) for each in values.get("preferences", [])]
        return cls(values["value"], values["prompts"], values["held_out"], arms, differences, constraints, said)


def _measured(values: Mapping[str, Any]) -> Measured:
    arm = Arm(values["name"], values["kind"], read_settings(values["params"]))
    scores, measures = (
        {name: np.array(table, dtype=np.float64) for name, table in values[part].items()}  # None is NaN
        for part in ("scores", "measures")
    )
    return Measured(arm, scores, measures, values["pictures"], values["seconds"])


def _numbers(difference: Difference) -> dict[str, float | None]:
    """NaN is no JSON."""
    return {name: None if np.isnan(value) else value for name, value in asdict(difference).items()}


def _difference(numbers: Mapping[str, float | None]) -> Difference:
    return Difference(**{name: np.nan if value is None else value for name, value in numbers.items()})  # type: ignore[arg-type]


def task_values(scores: Scores, kind: Any) -> Scores:
    """Of P tasks."""
    return np.array([task_value(table, kind) for table in scores])


def _without_nan(measures: Scores) -> list[list[float | None]]:
    """NaN is no JSON."""
    return [[None if np.isnan(value) else value for value in row] for row in measures.tolist()]


def compared(
    value: str, prompts: Sequence[str], held_out: bool, arms: Sequence[Measured], constraints: Mapping[str, float]
) -> Comparison:
    """Differences of the first arm to all others, and to the best of as many images without feedback."""
    tuned, others = arms[0], arms[1:]
    differences = {}
    for objective, scores in tuned.scores.items():
        ours = task_values(scores, value)
        found = {
            measured.arm.name: paired_difference(ours, task_values(measured.scores[objective], value))
            for measured in others
        }
        plain = next(measured for measured in others if measured.arm.kind == "plain")
        best = BEST_OF.format(count=scores[0].size)
        found[best] = paired_difference(scores.max((1, 2)), plain.scores[objective].max((1, 2)))
        differences[objective] = found
    return Comparison(value, list(prompts), held_out, list(arms), differences, dict(constraints))
