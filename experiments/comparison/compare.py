"""Plays all arms on held-out prompts and seeds, and keeps what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.comparison.arms import Arm, Measured, arms_of, folder_name, measure
from experiments.comparison.pairs import opponents, preferences
from experiments.comparison.result import BEST_OF, Comparison, compared
from experiments.files.atomic import atomic_write
from experiments.people.choices import StudyChoices
from experiments.people.questions import wait_for
from experiments.people.ratings import StudyRatings
from experiments.run.cached_generator import CachedGenerator
from experiments.run.plan import Plan
from experiments.run.progress import Progress
from fabric.params import FabricParams
from objectives.base import UnratedError

FOLDER = "comparison"
FILE = "comparison.json"
_NAME = 20  # characters of an arm's name, so that the line fits into 80


def compare(
    plan: Plan,
    tuned: Mapping[str, FabricParams],
    output: Path,
    best_known: tuple[str, FabricParams] | None = None,
    progress: Progress | None = None,
    choices: StudyChoices | None = None,
    workers: int = 1,
) -> Comparison:
    """Plays all arms on a plan's held-out tasks; where people rate, it waits until they have rated all arms' images.

    Where they choose, it waits until it is clear what they prefer, or until they have chosen from all pairs; if nothing
    scores besides, only those arms are played that they are asked about.

    Args:
        plan: of a run.
        tuned: settings by name; the first is what the others are compared with.
        output: folder for `comparison.json` and the pictures.
        best_known: name and setting of fixed FABRIC at its best on the run's own prompts; see `Run.best_known`.
        progress: shows how far it is; one on the terminal by default.
        choices: of the run, where people choose between images.
        workers: processes that arms are spread over, placed by Ray; more than one only where nobody rates.

    Raises:
        ValueError: something in the configuration is not to be had, or arms share a name.
        ObjectiveError: an objective failed.
    """
    if progress is None:
        with Progress() as progress:
            return compare(plan, tuned, output, best_known, progress, choices, workers)
    if workers > 1 and plan.asks_people:
        raise ValueError(f"workers: {workers}; allowed: 1 where people rate, who see the images of all arms mixed")
    arms = arms_of(tuned, best_known, plan.presets, plan.held_out_protocol.plain, plan.held_out_best_of)
    check_names(arms)
    asked = [] if choices is None else opponents(plan.config.people.against, arms)
    progress.doing("loading the objective")
    tasks = plan.held_out_tasks
    if not plan.held_out_objectives:
        arms = [arms[0], *asked]
    _ = plan.measures
    preferred = []
    if workers == 1:
        progress.doing("loading the model")
        generator = plan.generator(plan.held_out_protocol)
        generator.warm_up()
        measured = _measure_all(plan, generator, arms, output / FOLDER, progress)
        if choices is not None:
            preferred = preferences(plan, generator, arms, choices, progress)
    else:
        # Takes seconds to import, and nobody else needs it.
        from experiments.comparison.ray_arms import measure_with_workers

        measured = measure_with_workers(plan, arms, output / FOLDER, workers, progress)
    held_out = not {task.prompt for task in tasks} & {task.prompt for task in plan.tasks}
    constraints = {constraint.name: constraint.at_least for constraint in plan.config.constraints}
    found = compared(plan.protocol.value, [task.prompt for task in tasks], held_out, measured, constraints)
    found = replace(found, preferences=preferred)
    with atomic_write(output / FILE) as path:
        path.write_text(json.dumps(found.to_dict()))
    return found


def _measure_all(
    plan: Plan, generator: CachedGenerator, arms: Sequence[Arm], folder: Path, progress: Progress
) -> list[Measured]:
    """What each arm came to. Images of all arms are there before people are waited for, so that these mix."""
    tasks, objectives, measures = plan.held_out_tasks, plan.held_out_objectives, plan.measures
    found: dict[str, Measured] = {}
    effort = {arm.name: (0.0, 0) for arm in arms}  # seconds, and images
    while True:
        shown, unrated = _ArmProgress(progress, len(arms), len(tasks)), set[str]()
        for arm in arms:
            shown.arm(arm.name)
            if arm.name in found:
                continue
            generator.forget()  # or the seconds of later arms would be without what the first ones paid for
            own = generator.under(replace(generator.protocol, best_of=arm.best_of))
            seconds, count = own.seconds, own.count
            try:
                found[arm.name] = measure(own, tasks, arm, objectives, measures, folder, shown.prompts)
            except UnratedError as missing:
                unrated |= {*missing.items}
            before = effort[arm.name]
            effort[arm.name] = before[0] + own.seconds - seconds, before[1] + own.count - count
        if not unrated:
            break
        assert isinstance(plan.shared.ratings, StudyRatings), "nobody else asks people"
        wait_for(plan.shared.ratings, unrated, progress)
    spent = {name: seconds / count if count else None for name, (seconds, count) in effort.items()}
    return [replace(found[arm.name], seconds=spent[arm.name]) for arm in arms]


class _ArmProgress:
    """How far a comparison is.

    Args:
        progress: shows it.
        arms: that are compared.
        prompts: of each of them.
    """

    def __init__(self, progress: Progress, arms: int, prompts: int) -> None:
        self._progress = progress
        self._arms, self._prompts = arms, prompts
        self._arm, self._name = 0, ""
        progress.begin(arms * prompts)

    def arm(self, name: str) -> None:
        """The next arm begins."""
        shown = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
        self._arm, self._name = self._arm + 1, shown
        self.prompts(0)

    def prompts(self, count: int) -> None:
        """So many prompts of the arm are done."""
        self._progress.at(
            (self._arm - 1) * self._prompts + count,
            f"arm {self._arm}/{self._arms}",
            self._name,
            f"prompt {min(count + 1, self._prompts)}/{self._prompts}",
        )


def check_names(arms: Sequence[Arm]) -> None:
    """Checks that every arm has a name, and a folder for its pictures, of its own.

    Raises:
        ValueError: two would share them; the message names one.
    """
    taken = {folder_name(arm.name) for arm in arms if arm.kind != "tuned"}
    for arm in arms:
        if arm.kind == "tuned":
            if arm.name.startswith(BEST_OF.partition("{")[0]) or folder_name(arm.name) in taken:
                raise ValueError(f"params: {arm.name} is the name of another arm; allowed: files of other names")
            taken.add(folder_name(arm.name))


def read_comparison(folder: Path) -> Comparison | None:
    """What `fabric-bo compare` found, or None where it was not run.

    Args:
        folder: of the run.

    Raises:
        ValueError: the file is none of its; the message is one line.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Comparison.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        again = "run fabric-bo compare again"
        raise ValueError(f"comparison: {path} cannot be read ({error!r}); {again}") from error
