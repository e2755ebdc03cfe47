"""The paper's loop on many prompts at once: an objective likes the best and dislikes the worst image of every round.

Notation:
    P: tasks (prompts), R: rounds, n: images of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL.Image import Image

from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.session import Choice, Session
from objectives.base import Context, Objective, toward_higher
from objectives.scoring import score

Value = Literal["last", "best", "all"]
_KEPT = 4096  # images without feedback; one of 64 x 64 pixels has 12 KB, one of 512 x 512 786 KB


@dataclass(frozen=True)
class Task:
    """One prompt to steer.

    Attributes:
        prompt: what is asked for.
        targets: what is hoped for, where the objective needs it; never shown to the generator.
        liked: feedback given from the start.
        disliked: likewise.
        negative_prompt: for the unconditional pass.
    """

    prompt: str
    targets: tuple[Image, ...] = ()
    liked: tuple[FeedbackImage, ...] = ()
    disliked: tuple[FeedbackImage, ...] = ()
    negative_prompt: str = ""


@dataclass(frozen=True)
class Protocol:
    """How a setting is tried on a task (von Rütte et al. 2023, arXiv 2307.10159, section 4: 3 rounds of 4 images).

    Attributes:
        rounds: R, the first of them without feedback unless some is given.
        images: n of a round.
        steps: denoising steps.
        size: height and width in pixels; the model's own by default.
        seed: of everything; every setting has the same seeds.
        batch: images generated at once.
        value: what a task is worth: the mean of the last round, the best image, or the mean of all.
        baseline_guidance: of the images without feedback that `Context.baseline` holds.
    """

    rounds: int = 3
    images: int = 4
    steps: int = 20
    size: tuple[int, int] | None = None
    seed: int = 0
    batch: int = 16
    value: Value = "last"
    baseline_guidance: float = 7.0


@dataclass(frozen=True)
class Outcome:
    """What came of one task.

    Attributes:
        session: rounds with their images, prompts used and choices.
        scores: R x n, higher is better.
    """

    session: Session
    scores: NDArray[np.float64]

    def value(self, kind: Value) -> float:
        """One number; see `Protocol.value`."""
        return float({"last": self.scores[-1].mean, "best": self.scores.max, "all": self.scores.mean}[kind]())


class Studio:
    """Generates images, and keeps those without feedback, which are the same for many settings.

    Args:
        fabric: the generator.
        protocol: of all tasks.
        on_image: called for every image that is ready.
    """

    def __init__(
        self, fabric: FabricGenerator, protocol: Protocol, on_image: Callable[[], None] = lambda: None
    ) -> None:
        self.fabric = fabric
        self.protocol = protocol
        self.on_image = on_image
        self._kept: LRUCache[Hashable, tuple[Image, str]] = LRUCache(_KEPT)

    def images(self, requests: Sequence[Request]) -> list[tuple[Image, str]]:
        """An image and the prompt used for each request, in batches."""
        names = [_without_feedback(request) or place for place, request in enumerate(requests)]
        found = {name: self._kept[name] for name in names if name in self._kept}
        new = {name: request for name, request in zip(names, requests, strict=True) if name not in found}
        found.update(zip(new, self._generate(list(new.values())), strict=True))
        self._kept.update({name: made for name, made in found.items() if not isinstance(name, int)})
        for _ in requests:
            self.on_image()
        return [found[name] for name in names]

    def _generate(self, requests: list[Request]) -> list[tuple[Image, str]]:
        made: list[tuple[Image, str]] = []
        for start in range(0, len(requests), self.protocol.batch):
            part = self.fabric(requests[start : start + self.protocol.batch], self.protocol.steps, self.protocol.size)
            made += zip(to_pictures(part.images), part.prompts, strict=True)
        return made


def _without_feedback(request: Request) -> Hashable | None:
    """What decides an image without feedback; None for one with feedback."""
    params = request.params
    if params.strength > 0 and (request.liked or request.disliked):
        return None
    return request.prompt, request.negative_prompt, request.seed, params.guidance_scale, params.prompt_dropout


def play(studio: Studio, tasks: Sequence[Task], params: FabricParams, objective: Objective) -> list[Outcome]:
    """Tries a setting: all tasks' rounds, each round of all tasks in common batches.

    Args:
        studio: generator and protocol.
        tasks: P of them.
        params: the setting.
        objective: scores images, and so chooses what is liked and disliked.

    Returns:
        P outcomes.

    Raises:
        ValueError: a task lacks what the objective needs.
        ObjectiveError: the objective failed.
    """
    protocol = studio.protocol
    sessions = [_session(task, protocol) for task in tasks]
    scores: list[NDArray[np.float64]] = []
    for number in range(protocol.rounds):
        requests = [session.requests([params] * protocol.images) for session in sessions]
        made = studio.images([request for some in requests for request in some])
        contexts = _contexts(studio, tasks, requests, number, "baseline" in objective.needs)
        found = toward_higher(objective, score(objective, [image for image, _ in made], contexts))
        table = np.array(found).reshape(len(tasks), protocol.images)
        for place, (session, row) in enumerate(zip(sessions, table, strict=True)):
            part = made[place * protocol.images : (place + 1) * protocol.images]
            session.record([image for image, _ in part], [prompt for _, prompt in part], [params] * len(part))
            session.choose(Choice((int(row.argmax()),), (int(row.argmin()),)))
        scores.append(table)
    rounds = np.stack(scores, axis=1)  # P x R x n
    return [Outcome(session, each) for session, each in zip(sessions, rounds, strict=True)]


def _session(task: Task, protocol: Protocol) -> Session:
    seed = generator_for("task", protocol.seed, task.prompt).initial_seed()
    return Session(task.prompt, seed, protocol.steps, protocol.size, task.liked, task.disliked, task.negative_prompt)


def _contexts(
    studio: Studio, tasks: Sequence[Task], requests: Sequence[Sequence[Request]], number: int, with_baseline: bool
) -> list[Context]:
    """What each image of a round is scored against."""
    flat = [request for some in requests for request in some]
    baselines: list[Image | None] = [None] * len(flat)
    if with_baseline:
        none = FabricParams(strength=0, guidance_scale=studio.protocol.baseline_guidance)
        plain = [Request(r.prompt, r.seed, none, negative_prompt=r.negative_prompt) for r in flat]
        baselines = [image for image, _ in studio.images(plain)]
    owners = [place for place, some in enumerate(requests) for _ in some]
    return [
        Context(
            tasks[owner].prompt,
            tasks[owner].targets,
            tuple(image.picture for image in request.liked),
            tuple(image.picture for image in request.disliked),
            baseline,
            (owner, number),
        )
        for owner, request, baseline in zip(owners, flat, baselines, strict=True)
    ]
