"""The comparison: tuned parameters against fixed FABRIC, no feedback and best-of-N, where the run never looked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.files.pictures import contact_sheet, save_png
from experiments.intervals import Difference, paired_difference
from experiments.run.play import Outcome, Scores, Studio, Task, play, worth
from fabric.params import FabricParams
from objectives.base import Context, Objective
from objectives.scoring import score

Kind = Literal["tuned", "preset", "plain", "without feedback"]
TUNED, PLAIN, WITHOUT = "tuned", "no feedback", "tuned, feedback taken out"
BEST_OF = "best of {count}"


@dataclass(frozen=True)
class Arm:
    """What is compared.

    Attributes:
        name: of it.
        kind: tuned, a preset, plain Stable Diffusion, or tuned with the feedback taken out.
        params: settings.
    """

    name: str
    kind: Kind
    params: FabricParams


@dataclass(frozen=True)
class Measured:
    """What an arm came to on P tasks.

    Attributes:
        arm: it.
        scores: by objective, P x R x n, higher is better.
        measures: by name, P x R: similarity to liked and to disliked images (NaN while there are none), diversity.
        seconds: for one image.
        sheets: of pictures, one a task, a row for each round.
    """

    arm: Arm
    scores: dict[str, Scores]
    measures: dict[str, Scores]
    seconds: float
    sheets: list[str]


def arms_of(tuned: Mapping[str, FabricParams], presets: Mapping[str, FabricParams], plain: FabricParams) -> list[Arm]:
    """Everything that tuned parameters are compared with.

    Args:
        tuned: by name.
        presets: fixed FABRIC, by name.
        plain: of images without feedback.
    """
    arms = [Arm(name, "tuned", params) for name, params in tuned.items()]
    arms += [Arm(name, "preset", params) for name, params in presets.items()]
    arms.append(Arm(PLAIN, "plain", plain))
    first = next(iter(tuned.values()))
    return [*arms, Arm(WITHOUT, "without feedback", replace(first, strength=0.0))]


def measure(
    studio: Studio,
    tasks: Sequence[Task],
    arm: Arm,
    objectives: Sequence[Objective],
    measures: Mapping[str, Objective],
    folder: Path,
    on_tasks: Callable[[int], None] = lambda count: None,
) -> Measured:
    """Plays the sessions of one arm.

    Args:
        studio: generator and protocol.
        tasks: P held-out ones.
        arm: whose settings.
        objectives: M of them; the first chooses what is liked and disliked.
        measures: others, averaged over a round; where they need feedback, rounds without any have none.
        folder: to write the sheets of pictures to.
        on_tasks: called with a number of tasks that are done.
    """
    made, seconds = studio.made, studio.seconds
    outcomes: list[Outcome] = []
    at_once = max(1, studio.protocol.batch // studio.protocol.images)
    for start in range(0, len(tasks), at_once):
        some = tasks[start : start + at_once]
        outcomes += play(studio, [(task, arm.params) for task in some], objectives)
        on_tasks(len(some))
    spent = (studio.seconds - seconds) / (studio.made - made)
    scores = {each.name: np.stack([o.scores[m] for o in outcomes]) for m, each in enumerate(objectives)}
    others = {name: _by_round(each, tasks, outcomes) for name, each in measures.items()}
    return Measured(arm, scores, others, spent, [_sheet(folder, arm, k, o) for k, o in enumerate(outcomes)])


def _by_round(objective: Objective, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> Scores:
    """Means over the images of each round, P x R, as the objective counts."""
    table = np.full((len(outcomes), len(outcomes[0].session.rounds)), np.nan)
    for k, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True)):
        for number, made in enumerate(outcome.session.rounds):
            liked, disliked = (tuple(one.picture for one in given) for given in outcome.session.feedback_before(number))
            context = Context(task.prompt, task.targets, liked, disliked, group=number)
            if not context.missing(objective.needs):
                table[k, number] = np.mean(score(objective, made.pictures, [context] * len(made.pictures)))
    return table


def folder_name(arm: str) -> str:
    """Name of the folder of an arm's pictures."""
    return re.sub(r"[^\w.-]+", "-", arm)


def _sheet(folder: Path, arm: Arm, place: int, outcome: Outcome) -> str:
    pictures = [picture for made in outcome.session.rounds for picture in made.pictures]
    path = folder / folder_name(arm.name) / f"{place:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(contact_sheet(pictures, len(outcome.session.rounds[0].pictures)), path, {})
    return str(path.relative_to(folder.parent))


@dataclass(frozen=True)
class Comparison:
    """All arms on the same held-out tasks.

    Attributes:
        value: what a task is worth; see `Protocol.value`.
        prompts: of the tasks.
        held_out: whether the run never saw them; else only the seeds are fresh.
        arms: the first is the tuned one that the others are compared with.
        differences: tuned minus each arm, and minus best-of-N, by objective.
    """

    value: str
    prompts: list[str]
    held_out: bool
    arms: list[Measured]
    differences: dict[str, dict[str, Difference]]

    @property
    def best_preset(self) -> str:
        """The preset of the highest mean by the first objective: chosen on these very tasks, so in its favour."""
        objective = next(iter(self.differences))
        presets = [one for one in self.arms if one.arm.kind == "preset"]
        return max(presets, key=lambda one: _worths(one.scores[objective], self.value).mean()).arm.name

    @property
    def verdict(self) -> str:
        """One sentence with numbers."""
        objective, found = next(iter(self.differences.items()))
        best = next(name for name in found if name.startswith("best of"))
        fixed = found[self.best_preset]
        mean = _worths(self.arms[0].scores[objective], self.value).mean()
        whose = "held-out" if self.held_out else "of the run's own"
        word = "beats" if fixed.low > 0 else "loses to" if fixed.high < 0 else "is not shown to differ from"
        return (
            f"On {fixed.pairs} {whose} prompts with fresh seeds, {self.arms[0].arm.name} ({objective} {mean:.3f}) "
            f"{word} the best fixed preset ({self.best_preset}): {fixed}, better on {fixed.wins:.0%} of prompts; "
            f"over no feedback {found[PLAIN]}, over itself with the feedback taken out {found[WITHOUT]}, "
            f"its best image over the {best} images without feedback {found[best]} (95 % intervals)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "value": self.value,
            "best_preset": self.best_preset,
            "prompts": self.prompts,
            "held_out": self.held_out,
            "differences": {
                objective: {name: _numbers(difference) for name, difference in found.items()}
                for objective, found in self.differences.items()
            },
            "arms": [
                {
                    "name": one.arm.name,
                    "kind": one.arm.kind,
                    "params": one.arm.params.to_dict(),
                    "scores": {name: table.tolist() for name, table in one.scores.items()},
                    "measures": {name: _without_nan(each) for name, each in one.measures.items()},
                    "seconds": one.seconds,
                    "sheets": one.sheets,
                }
                for one in self.arms
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
        return cls(values["value"], values["prompts"], values["held_out"], arms, differences)


def _measured(values: Mapping[str, Any]) -> Measured:
    arm = Arm(values["name"], values["kind"], FabricParams.from_dict(values["params"]))
    scores, measures = (
        {name: np.array(table, dtype=np.float64) for name, table in values[part].items()}  # None is NaN
        for part in ("scores", "measures")
    )
    return Measured(arm, scores, measures, values["seconds"], values["sheets"])


def _numbers(difference: Difference) -> dict[str, float | None]:
    """NaN is no JSON."""
    return {name: None if np.isnan(value) else value for name, value in asdict(difference).items()}


def _difference(numbers: Mapping[str, float | None]) -> Difference:
    return Difference(**{name: np.nan if value is None else value for name, value in numbers.items()})  # type: ignore[arg-type]


def _worths(scores: Scores, kind: Any) -> Scores:
    """What each task is worth, P."""
    return np.array([worth(table, kind) for table in scores])


def _without_nan(measures: Scores) -> list[list[float | None]]:
    """NaN is no JSON."""
    return [[None if np.isnan(value) else value for value in row] for row in measures.tolist()]


def compared(value: str, prompts: Sequence[str], held_out: bool, arms: Sequence[Measured]) -> Comparison:
    """Differences of the first arm to all others, and to the best of as many images without feedback."""
    tuned, others = arms[0], arms[1:]
    plain = next(one for one in others if one.arm.kind == "plain")
    differences = {}
    for objective, scores in tuned.scores.items():
        ours = _worths(scores, value)
        found = {one.arm.name: paired_difference(ours, _worths(one.scores[objective], value)) for one in others}
        best = BEST_OF.format(count=scores[0].size)
        found[best] = paired_difference(scores.max((1, 2)), plain.scores[objective].max((1, 2)))
        differences[objective] = found
    return Comparison(value, list(prompts), held_out, list(arms), differences)
