"""Images side by side: the same prompts and seeds with other settings, a row for each round.

Notation:
    R: rounds, n: images of a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optuna.artifacts import get_all_artifact_meta

from experiments.comparison.result import Comparison
from experiments.files.html import to_uri
from experiments.report.findings import Findings, Tried
from experiments.report.given import held_out_tasks_of
from experiments.report.plots_rounds import arm_label
from experiments.report.style import TUNED, arm_colour, preset_colour
from experiments.report.theme import themed
from experiments.run.protocol import Task
from experiments.run.trials import ATTENTION, PROMPTS, ROUNDS, SEEDS, picture_name
from fabric.images import read_picture
from fabric.params import FabricParams

SHOWN, MOST = 6, 60  # prompts that are open, and that are there at all
_SIDE, _FOLDED_SIDE, _TARGET_SIDE = (
    256,
    160,
    192,
)  # pixels; larger images are made smaller, or the page would be too large
_TARGETS = 3


@dataclass(frozen=True)
class Picture:
    """An image of the page.

    Attributes:
        uri: the image itself, as data.
        alt: what it is.
        role: liked or disliked in what follows, or nothing.
        file: of the image at its own size, where `uri` is smaller.
    """

    uri: str
    alt: str
    role: str = ""
    file: Path | None = None


@dataclass(frozen=True)
class Cell:
    """A round of an arm.

    Attributes:
        pictures: n of them.
        caption: its scores.
    """

    pictures: list[Picture]
    caption: str


@dataclass(frozen=True)
class Column:
    """An arm's rounds.

    Attributes:
        name: of the arm.
        colour: of the arm, as CSS.
        rounds: R cells.
    """

    name: str
    colour: str
    rounds: list[Cell]


@dataclass(frozen=True)
class SideBySide:
    """A prompt.

    Attributes:
        prompt: what was asked for.
        targets: what was hoped for, where that is at hand.
        columns: arms of which there are pictures.
    """

    prompt: str
    targets: list[Picture]
    columns: list[Column]

    @property
    def rounds(self) -> int:
        """R."""
        return max(len(column.rounds) for column in self.columns)


def held_out_pictures(found: Findings, comparison: Comparison) -> list[SideBySide]:
    """No feedback, the best preset and the tuned settings, on held-out prompts; without those that have no pictures."""
    objective = next(iter(comparison.differences), None)
    plain = [measured for measured in comparison.arms if measured.arm.kind == "plain"]
    fixed = [
        measured
        for measured in comparison.arms
        if measured.arm.kind == "preset" and measured.arm.name == comparison.best_preset
    ]
    tasks = _matching(held_out_tasks_of(found.plan), comparison.prompts)
    shown = []
    for k, prompt in enumerate(comparison.prompts[:MOST]):
        columns = []
        for measured in (*plain, *fixed, comparison.arms[0]):
            name = arm_label(comparison, measured)
            with_choices = measured.arm.params.strength > 0
            files = [[found.folder / file for file in row] for row in measured.pictures[k]]
            unscored = np.full((len(files), len(files[0])), np.nan)
            scores = unscored if objective is None else measured.scores[objective][k]
            rounds = _cells(files, scores, name, k, with_choices)
            columns.append(Column(name, themed(arm_colour(measured.arm)), rounds))
        shown.append(SideBySide(prompt, _targets(tasks, k), [column for column in columns if column.rounds]))
    return [prompt_row for prompt_row in shown if prompt_row.columns]


def run_pictures(found: Findings) -> list[SideBySide]:
    """The best preset's and the best trial's images on the run's own prompts, from its artifacts."""
    chosen = _chosen(found)
    prompts = run_prompts(found)
    tasks = _matching(found.tasks, prompts)
    shown = []
    for k, prompt in enumerate(prompts[:MOST]):
        columns = [
            Column(name, themed(colour), _trial_cells(found, found.trial(number), name, k))
            for number, (name, colour) in chosen.items()
        ]
        shown.append(SideBySide(prompt, _targets(tasks, k), [column for column in columns if column.rounds]))
    return [prompt_row for prompt_row in shown if prompt_row.columns]


def _chosen(found: Findings) -> dict[int, tuple[str, str]]:
    """Trials to show: name and colour by number."""
    chosen: dict[int, tuple[str, str]] = {}
    if (fixed := found.best_preset) is not None and fixed.preset is not None:
        chosen[fixed.number] = (f"{fixed.preset} (best preset)", preset_colour(fixed.preset))
    for objective, fitted in zip(found.objectives, found.models, strict=True):
        number = fitted.recommendation.number
        best = "recommended" if len(found.objectives) == 1 else f"best by {objective}"
        if number in chosen:
            name, colour = chosen[number]
            chosen[number] = (f"{name}, {best}", colour)
        else:
            chosen[number] = (f"{best}, trial {number}", TUNED)
    return chosen


def given_pictures(found: Findings, params: FabricParams) -> list[Picture]:
    """Feedback that was given from the start, with its weights in some settings and the attention that it received."""
    received = _attention(found, params)
    pictures = []
    for image in found.given:
        about = f"{image.name}: weight {params.of_picture('weights', image.id):.2g}"
        if timing := params.of_picture("timing", image.id):
            about += f", timing {timing:+.2g}"
        if image.id in received:
            about += f", {received[image.id]:.0%} of the attention"
        pictures.append(Picture(to_uri(image.picture, _TARGET_SIDE), about, image.name.split()[0]))
    return pictures


def _attention(found: Findings, params: FabricParams) -> dict[str, float]:
    """Share of the self-attention that references received in a trial's last rounds, by id, a mean over its prompts.

    Disliked ones receive it in the unconditional pass. Empty for runs of before it was kept.
    """
    numbers = [trial.number for trial in found.tried if trial.params == params]
    trials = found.study.get_trials(deepcopy=False)
    tasks = trials[numbers[0]].user_attrs.get(ATTENTION, []) if numbers else []
    names = {name for task in tasks for name in task}
    return {name: float(np.mean([task.get(name, 0.0) for task in tasks])) for name in names}


def run_prompts(found: Findings) -> list[str]:
    """The prompts that the run tried its settings on."""
    if found.config.prompts:
        return [task.prompt for task in found.config.prompts]
    trials = found.study.get_trials(deepcopy=False)
    used: list[list[list[str]]] = max((trials[trial.number].user_attrs[PROMPTS] for trial in found.tried), key=len)
    return [rounds[0][0] for rounds in used]


def _trial_cells(found: Findings, trial: Tried, name: str, place: int) -> list[Cell]:
    """Rounds of a trial's prompt; none where it was stopped before, or its images are not at hand."""
    frozen = found.study.get_trials(deepcopy=False)[trial.number]
    scores = frozen.user_attrs[ROUNDS]
    kept = {meta.filename: meta.artifact_id for meta in get_all_artifact_meta(frozen, storage=found.study._storage)}
    if place >= len(scores):
        return []
    seeds = np.shape(frozen.user_attrs[SEEDS][place])
    table = np.array(scores[place][0]) if scores[place] else np.full(seeds, np.nan)
    names = [[picture_name(place, number, k) for k in range(table.shape[1])] for number in range(len(table))]
    if any(file not in kept for row in names for file in row):
        return []
    try:
        files = [[found.plan.artifacts.path(kept[file]) for file in row] for row in names]
    except FileNotFoundError:
        return []
    return _cells(files, table, name, place, trial.params.strength > 0)


def _cells(
    files: list[list[Path]], scores: NDArray[np.float64], name: str, place: int, with_choices: bool
) -> list[Cell]:
    """Rounds of a prompt; none where images are no longer to be had.

    Args:
        files: of the images, R x n.
        scores: R x n, of the objective that chooses what is liked and disliked.
        name: of the arm.
        place: of the prompt; those that are folded are smaller.
        with_choices: whether what was liked and disliked made a difference.
    """
    try:
        rows = [[read_picture(file) for file in row] for row in files]
    except ValueError:
        return []
    side = _SIDE if place < SHOWN else _FOLDED_SIDE
    cells = []
    for number, (row, row_scores) in enumerate(zip(rows, scores, strict=True)):
        pictures = []
        for k, (image, score) in enumerate(zip(row, row_scores, strict=True)):
            file, role = files[number][k] if max(image.size) > side else None, ""
            if with_choices and number + 1 < len(scores) and len(row_scores) > 1:
                role = "liked" if k == row_scores.argmax() else "disliked" if k == row_scores.argmin() else ""
            about = [*([] if np.isnan(score) else [f"{score:.3f}"]), *([role] if role else [])]
            alt = f"{name}, round {number + 1}, image {k + 1}{': ' if about else ''}{', '.join(about)}"
            pictures.append(Picture(to_uri(image, side), alt, role, file))
        caption = f"mean\N{NO-BREAK SPACE}{row_scores.mean():.3f} · best\N{NO-BREAK SPACE}{row_scores.max():.3f}"
        cells.append(Cell(pictures, "" if np.isnan(row_scores).all() else caption))
    return cells


def _matching(tasks: list[Task], prompts: Sequence[str]) -> list[Task]:
    """Tasks, if they are those of the prompts."""
    return tasks if [task.prompt for task in tasks] == list(prompts) else []


def _targets(tasks: Sequence[Task], place: int) -> list[Picture]:
    targets = tasks[place].targets[:_TARGETS] if tasks else ()
    return [Picture(to_uri(image, _TARGET_SIDE), f"target {k + 1}") for k, image in enumerate(targets)]
