"""The paper's loop on many prompts at once: an objective likes the best and dislikes the worst image of every round.

Notation:
    P: plays (a task with a setting), R: rounds, n: images of a round, M: objectives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL.Image import Image

from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.session import RoundChoice, Session
from objectives.base import Context, Objective, toward_higher
from objectives.scoring import score

Value = Literal["last", "best", "all"]
Scores = NDArray[np.float64]
_KEPT = 2**30  # bytes of images without feedback: 85,000 of 64 x 64 pixels, 1,300 of 512 x 512


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
        rounds: R. A first round without any feedback is plain Stable Diffusion at `guidance`: there is nothing yet
            that a setting could do, so it is the same for all settings and generated once.
        images: n of a round.
        steps: denoising steps.
        size: height and width in pixels; the model's own by default.
        seed: of everything; every setting has the same seeds.
        batch: images generated at once.
        value: what a task is worth: the mean of the last round, the best image, or the mean of all.
        guidance: of plain images, which settings are compared with.
    """

    rounds: int = 3
    images: int = 4
    steps: int = 20
    size: tuple[int, int] | None = None
    seed: int = 0
    batch: int = 16
    value: Value = "last"
    guidance: float = 7.0

    @property
    def plain(self) -> FabricParams:
        """No feedback."""
        return FabricParams(strength=0, guidance_scale=self.guidance)


@dataclass(frozen=True)
class Outcome:
    """What came of one play.

    Attributes:
        session: rounds with their images, prompts used and choices.
        scores: M x R x n, higher is better.
    """

    session: Session
    scores: Scores

    def value(self, kind: Value, objective: int = 0) -> float:
        """One number; see `Protocol.value`."""
        return worth(self.scores[objective], kind)


def worth(scores: Scores, kind: Value) -> float:
    """One number of R x n scores; see `Protocol.value`."""
    return float({"last": scores[-1].mean, "best": scores.max, "all": scores.mean}[kind]())


class Studio:
    """Generates images, and keeps those without feedback, which are the same for many settings.

    Args:
        fabric: the generator.
        protocol: of all tasks.

    Attributes:
        made: images generated so far.
        seconds: what that took.
    """

    def __init__(self, fabric: FabricGenerator, protocol: Protocol) -> None:
        self.fabric = fabric
        self.protocol = protocol
        self.made = 0
        self.seconds = 0.0
        self._kept: LRUCache[Hashable, tuple[Image, str]] = LRUCache(_KEPT, getsizeof=_bytes)

    def images(self, requests: Sequence[Request]) -> list[tuple[Image, str]]:
        """An image and the prompt used for each request, in batches."""
        names = [_without_feedback(request) or place for place, request in enumerate(requests)]
        found = {name: self._kept[name] for name in names if name in self._kept}
        new = {name: request for name, request in zip(names, requests, strict=True) if name not in found}
        found.update(zip(new, self._generate(list(new.values())), strict=True))
        for name, made in found.items():
            if not isinstance(name, int) and _bytes(made) <= self._kept.maxsize:
                self._kept[name] = made
        return [found[name] for name in names]

    def warm_up(self) -> None:
        """Generates one batch and forgets it: a device's first images take longer than all later ones."""
        self.fabric(
            [Request("", seed, self.protocol.plain) for seed in range(self.protocol.batch)], 1, self.protocol.size
        )

    def forget(self) -> None:
        """Drops what was kept, as if nothing had been generated yet: images without feedback and references."""
        self._kept.clear()
        self.fabric.bank.clear()

    def _generate(self, requests: list[Request]) -> list[tuple[Image, str]]:
        began, made = time.perf_counter(), list[tuple[Image, str]]()
        for start in range(0, len(requests), self.protocol.batch):
            part = self.fabric(requests[start : start + self.protocol.batch], self.protocol.steps, self.protocol.size)
            made += zip(to_pictures(part.images), part.prompts, strict=True)
        self.made += len(made)
        self.seconds += time.perf_counter() - began
        return made


def _bytes(made: tuple[Image, str]) -> int:
    return 3 * made[0].width * made[0].height


def _without_feedback(request: Request) -> Hashable | None:
    """What decides an image without feedback; None for one with feedback."""
    params = request.params
    if params.strength > 0 and (request.liked or request.disliked):
        return None
    return request.prompt, request.negative_prompt, request.seed, params.guidance_scale, params.prompt_dropout


Play = tuple[Task, FabricParams]


def play(
    studio: Studio,
    plays: Sequence[Play],
    objectives: Sequence[Objective],
    on_round: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Tries settings on tasks: each round of all of them in common batches.

    Args:
        studio: generator and protocol.
        plays: P tasks with the setting that each is tried with.
        objectives: M of them; the first chooses what is liked and disliked.
        on_round: called after each round.

    Returns:
        P outcomes.

    Raises:
        ValueError: a task lacks what an objective needs.
        ObjectiveError: an objective failed.
    """
    protocol = studio.protocol
    sessions = [new_session(task, protocol) for task, _ in plays]
    scores: list[Scores] = []
    for number in range(protocol.rounds):
        settings = [_setting(protocol, session, params) for session, (_, params) in zip(sessions, plays, strict=True)]
        requests = [
            session.requests([params] * protocol.images) for session, params in zip(sessions, settings, strict=True)
        ]
        made = studio.images([request for some in requests for request in some])
        contexts = _contexts(studio, plays, requests, number, any("baseline" in each.needs for each in objectives))
        table = _scored(objectives, [image for image, _ in made], contexts).reshape(len(objectives), len(plays), -1)
        for place, (session, row) in enumerate(zip(sessions, table[0], strict=True)):
            part = made[place * protocol.images : (place + 1) * protocol.images]
            images, prompts = zip(*part, strict=True)
            session.record(images, prompts, [settings[place]] * len(part))
            session.choose(RoundChoice((int(row.argmax()),), (int(row.argmin()),)))
        scores.append(table)
        on_round()
    rounds = np.stack(scores, axis=2)  # M x P x R x n
    return [Outcome(session, rounds[:, place]) for place, session in enumerate(sessions)]


def _setting(protocol: Protocol, session: Session, params: FabricParams) -> FabricParams:
    """The setting, or plain Stable Diffusion as long as there is no feedback; see `Protocol.rounds`."""
    there = session.liked or session.disliked
    return params if there or session.rounds else replace(protocol.plain, prompt_dropout=0.0)


def new_session(task: Task, protocol: Protocol) -> Session:
    """A session before its first round; its seed depends on the protocol's and the prompt."""
    seed = generator_for("task", protocol.seed, task.prompt).initial_seed()
    return Session(task.prompt, seed, protocol.steps, protocol.size, task.liked, task.disliked, task.negative_prompt)


def _scored(objectives: Sequence[Objective], images: Sequence[Image], contexts: Sequence[Context]) -> Scores:
    """M x N scores, higher is better."""
    return np.array([toward_higher(each, score(each, images, contexts)) for each in objectives], dtype=np.float64)


def _contexts(
    studio: Studio, plays: Sequence[Play], requests: Sequence[Sequence[Request]], number: int, with_baseline: bool
) -> list[Context]:
    """What each image of a round is scored against."""
    flat = [request for some in requests for request in some]
    baselines: list[Image | None] = [None] * len(flat)
    if with_baseline:
        plain = [Request(r.prompt, r.seed, studio.protocol.plain, negative_prompt=r.negative_prompt) for r in flat]
        baselines = [image for image, _ in studio.images(plain)]
    owners = [place for place, some in enumerate(requests) for _ in some]
    return [
        Context(
            plays[owner][0].prompt,
            plays[owner][0].targets,
            tuple(image.picture for image in request.liked),
            tuple(image.picture for image in request.disliked),
            baseline,
            (owner, number),
        )
        for owner, request, baseline in zip(owners, flat, baselines, strict=True)
    ]
