"""The arms of a comparison, each played on held-out tasks: tuned parameters, fixed FABRIC, plain Stable Diffusion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL.Image import Image

from experiments.files.pictures import contact_sheet, save_png
from experiments.run.cached_generator import CachedGenerator
from experiments.run.play import Outcome, play
from experiments.run.protocol import BestOf, Scores, Task
from fabric.params import FabricParams
from objectives.base import Context, Objective
from objectives.scoring import score

Pictures = list[list[list[Image]]]
"""Images of P tasks, R rounds, n each."""

Kind = Literal["tuned", "best known", "preset", "plain", "without feedback", "picked"]
TUNED, PLAIN, WITHOUT = "tuned", "no feedback", "tuned, feedback taken out"
BEST_KNOWN = "best known setting ({name})"
PICKED = "no feedback, each the best of {count} by {objective}"


@dataclass(frozen=True)
class Arm:
    """What is compared.

    Attributes:
        name: of it.
        kind: tuned; the best of the known settings, chosen on the run's own prompts; a preset; plain Stable Diffusion;
            tuned with the feedback taken out; or plain Stable Diffusion, each image picked out of several.
        params: settings.
        best_of: how images are picked; see `Protocol.best_of`.
    """

    name: str
    kind: Kind
    params: FabricParams
    best_of: BestOf | None = None


@dataclass(frozen=True)
class Measured:
    """What an arm came to on P tasks.

    Attributes:
        arm: it.
        scores: by objective, P x R x n, higher is better.
        measures: by name, P x R, means of a round: similarity to liked and to disliked images (NaN while there are
            none), diversity, and others.
        pictures: files of the images, P x R x n, relative to the comparison's folder.
        seconds: for one image; None where all were there already.
    """

    arm: Arm
    scores: dict[str, Scores]
    measures: dict[str, Scores]
    pictures: list[list[list[str]]]
    seconds: float | None = None


def arms_of(
    tuned: Mapping[str, FabricParams],
    best_known: tuple[str, FabricParams] | None,
    presets: Mapping[str, FabricParams],
    plain: FabricParams,
    best_of: BestOf | None = None,
) -> list[Arm]:
    """Everything that tuned parameters are compared with.

    Args:
        tuned: by name.
        best_known: fixed FABRIC at its best on the run's own prompts, with its name; None where there is no run.
        presets: fixed FABRIC, by name.
        plain: of images without feedback.
        best_of: how images without feedback are picked, as one more arm; none by default.
    """
    arms = [Arm(name, "tuned", params) for name, params in tuned.items()]
    if best_known is not None:
        name, params = best_known
        arms.append(Arm(BEST_KNOWN.format(name=name), "best known", params))
    arms += [Arm(name, "preset", params) for name, params in presets.items()]
    arms.append(Arm(PLAIN, "plain", plain))
    if best_of is not None:
        name = PICKED.format(count=best_of.count, objective=best_of.objective.name)
        arms.append(Arm(name, "picked", plain, best_of))
    first = next(iter(tuned.values()))
    return [*arms, Arm(WITHOUT, "without feedback", replace(first, strength=0.0))]


def measure(
    generator: CachedGenerator,
    tasks: Sequence[Task],
    arm: Arm,
    objectives: Sequence[Objective],
    measures: Mapping[str, Objective],
    folder: Path,
    on_prompts: Callable[[int], None] = lambda count: None,
) -> Measured:
    """Plays the sessions of one arm, and writes its images.

    Args:
        generator: of a protocol, under which the arm's images are picked.
        tasks: P held-out ones.
        arm: whose settings.
        objectives: M of them; the first chooses what is liked and disliked.
        measures: others, averaged over a round; where they need feedback, rounds without any have none.
        folder: to write the images to.
        on_prompts: called with the number of tasks done.

    Raises:
        ObjectiveError: an objective failed.
        UnratedError: people have to rate some of the images first.
    """
    measured, images = play_arm(generator, tasks, arm, objectives, measures, on_prompts)
    return replace(measured, pictures=write_pictures(folder, arm, images))


def play_arm(
    generator: CachedGenerator,
    tasks: Sequence[Task],
    arm: Arm,
    objectives: Sequence[Objective],
    measures: Mapping[str, Objective],
    on_prompts: Callable[[int], None] = lambda count: None,
) -> tuple[Measured, Pictures]:
    """What an arm came to, its images not written yet; see `measure`."""
    outcomes: list[Outcome] = []
    asks_people = any(objective.asks_people for objective in objectives)  # who are to be asked for all images at once
    at_once = len(tasks) if asks_people else max(1, generator.protocol.batch // generator.protocol.images)
    for start in range(0, len(tasks), at_once):
        batch = tasks[start : start + at_once]
        outcomes += play(generator, [(task, arm.params) for task in batch], objectives)
        on_prompts(len(outcomes))
    scores = {objective.name: np.stack([o.scores[m] for o in outcomes]) for m, objective in enumerate(objectives)}
    others = {name: by_round(objective, tasks, outcomes) for name, objective in measures.items()}
    images = [[list(done.pictures) for done in outcome.session.rounds] for outcome in outcomes]
    return Measured(arm, scores, others, []), images


def write_pictures(folder: Path, arm: Arm, images: Pictures) -> list[list[list[str]]]:
    """Writes an arm's images; their files, P x R x n, relative to the comparison's folder."""
    return [_write(folder, arm, place, rounds) for place, rounds in enumerate(images)]


def by_round(objective: Objective, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> Scores:
    """A measure of what was played: means over the images of each round, P x R, as the objective counts.

    Args:
        objective: the measure; where it needs feedback, rounds without any have NaN.
        tasks: P of them.
        outcomes: one for each task.
    """
    table = np.full((len(outcomes), len(outcomes[0].session.rounds)), np.nan)
    for k, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True)):
        for number, done in enumerate(outcome.session.rounds):
            liked, disliked = (
                tuple(image.picture for image in given) for given in outcome.session.feedback_before(number)
            )
            context = Context(task.prompt, task.targets, liked, disliked, group=number)
            if not context.missing(objective.needs):
                table[k, number] = np.mean(score(objective, done.pictures, [context] * len(done.pictures)))
    return table


def folder_name(arm: str) -> str:
    """Name of the folder of an arm's pictures."""
    return re.sub(r"[^\w.-]+", "-", arm)


def _write(folder: Path, arm: Arm, place: int, rounds: Sequence[Sequence[Image]]) -> list[list[str]]:
    """Writes a task's images one by one, and for people a sheet with a row for each round; their files, R x n."""
    place_of_arm = folder / folder_name(arm.name)
    place_of_arm.mkdir(parents=True, exist_ok=True)
    names = []
    for number, pictures in enumerate(rounds):
        files = [place_of_arm / f"{place:02d}-round-{number + 1}-image-{k + 1}.png" for k in range(len(pictures))]
        for file, picture in zip(files, pictures, strict=True):
            save_png(picture, file, {})
        names.append([str(file.relative_to(folder.parent)) for file in files])
    sheet = contact_sheet([picture for pictures in rounds for picture in pictures], len(rounds[0]))
    save_png(sheet, place_of_arm / f"{place:02d}.png", {})
    return names
