"""The paper's loop on many prompts at once: an objective likes the best and dislikes the worst image of every round.

Notation:
    P: plays (a task with a setting), R: rounds, n: images of a round, M: objectives.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL.Image import Image

from experiments.run.cached_generator import CachedGenerator, Made
from experiments.run.protocol import Protocol, Scores, Task, Value, task_value
from fabric.generator import Request
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.session import RoundChoice, Session
from objectives.base import Context, Objective, toward_higher
from objectives.scoring import score


@dataclass(frozen=True)
class Outcome:
    """What came of one play.

    Attributes:
        session: rounds with their images, prompts used and choices.
        scores: M x R x n, higher is better.
        attention: share of the self-attention that each reference received in the last round, by id.
    """

    session: Session
    scores: Scores
    attention: Mapping[str, float] = field(default_factory=dict)

    def value(self, kind: Value, objective: int = 0) -> float:
        """One number; see `Protocol.value`."""
        return task_value(self.scores[objective], kind)


Play = tuple[Task, FabricParams]


def play(
    generator: CachedGenerator,
    plays: Sequence[Play],
    objectives: Sequence[Objective],
    on_round: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Tries settings on tasks: each round of all of them in common batches.

    Args:
        generator: generator and protocol.
        plays: P tasks with the setting that each is tried with.
        objectives: M of them; the first chooses what is liked and disliked.
        on_round: called after each round.

    Returns:
        P outcomes.

    Raises:
        ValueError: a task lacks what an objective needs.
        ObjectiveError: an objective failed.
    """
    protocol = generator.protocol
    sessions = [new_session(task, protocol) for task, _ in plays]
    scores: list[Scores] = []
    for number in range(protocol.rounds):
        settings = [_setting(protocol, session, params) for session, (_, params) in zip(sessions, plays, strict=True)]
        requests = [
            session.requests([params] * protocol.images) for session, params in zip(sessions, settings, strict=True)
        ]
        generated = generator([request for batch in requests for request in batch])
        contexts = _contexts(
            generator, plays, requests, number, any("baseline" in objective.needs for objective in objectives)
        )
        table = _scored(objectives, [made.image for made in generated], contexts).reshape(
            len(objectives), len(plays), -1
        )
        for place, (session, row) in enumerate(zip(sessions, table[0], strict=True)):
            part = generated[place * protocol.images : (place + 1) * protocol.images]
            session.record([made.image for made in part], [made.prompt for made in part], [settings[place]] * len(part))
            session.choose(RoundChoice((int(row.argmax()),), (int(row.argmin()),)))
        scores.append(table)
        on_round()
    rounds = np.stack(scores, axis=2)  # M x P x R x n
    last = [generated[place * protocol.images : (place + 1) * protocol.images] for place in range(len(plays))]
    return [Outcome(session, rounds[:, k], _attention(last[k])) for k, session in enumerate(sessions)]


def _attention(made: Sequence[Made]) -> dict[str, float]:
    """Means over the images of a round."""
    names = dict.fromkeys(name for image in made for name in image.attention)
    return {name: statistics.fmean(image.attention.get(name, 0.0) for image in made) for name in names}


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
    return np.array(
        [toward_higher(objective, score(objective, images, contexts)) for objective in objectives], dtype=np.float64
    )


def _contexts(
    generator: CachedGenerator,
    plays: Sequence[Play],
    requests: Sequence[Sequence[Request]],
    number: int,
    with_baseline: bool,
) -> list[Context]:
    """What each image of a round is scored against."""
    flat = [request for batch in requests for request in batch]
    baselines: list[Image | None] = [None] * len(flat)
    if with_baseline:
        plain = [Request(r.prompt, r.seed, generator.protocol.plain, negative_prompt=r.negative_prompt) for r in flat]
        baselines = [made.image for made in generator(plain)]
    owners = [place for place, batch in enumerate(requests) for _ in batch]
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
