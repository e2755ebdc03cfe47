"""The paper's loop on many prompts at once: an objective likes the best and dislikes the worst image of every round.

Notation:
    P: plays (a task with a setting), R: rounds, n: images of a round, M: objectives.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from PIL.Image import Image

from experiments.run.cached_generator import CachedGenerator
from experiments.run.kept_images import Made
from experiments.run.library import for_task
from experiments.run.protocol import Protocol, Scores, Task, Value, task_value
from fabric.generator import Request
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.session import RoundChoice, Session
from objectives.base import Context, Objective, ObjectiveError, UnratedError, toward_higher
from objectives.rahf.predictor import RahfPredictor, missed_words
from objectives.richhf import MARKED, marked_places
from objectives.scoring import score


@dataclass(frozen=True)
class Outcome:
    """What came of one play.

    Attributes:
        session: rounds with their images, prompts used and choices.
        scores: M x R x n, higher is better; as many rounds as were scored.
        failure: what an objective could not score, or what people have to rate first; the play ended there.
        attention: share of the self-attention that each reference received in the last round, by id.
    """

    session: Session
    scores: Scores
    attention: Mapping[str, float] = field(default_factory=dict)
    failure: ObjectiveError | None = None

    def value(self, kind: Value, objective: int = 0) -> float:
        """One number; see `Protocol.value`."""
        return task_value(self.scores[objective], kind)


_GROW = 0.05  # of the height, by which what is masked is larger

Play = tuple[Task, FabricParams]


def play(
    generator: CachedGenerator,
    plays: Sequence[Play],
    objectives: Sequence[Objective],
    on_round: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Tries settings on tasks, all of which succeed; see `try_plays`.

    Raises:
        ValueError: a task lacks what an objective needs.
        ObjectiveError: an objective failed.
        UnratedError: people have to rate some of the images first.
    """
    outcomes = try_plays(generator, plays, objectives, on_round)
    if (failure := failure_of(outcomes)) is not None:
        raise failure
    if items := awaited(outcomes):
        raise UnratedError("human", tuple(items))
    return outcomes


def failure_of(outcomes: Sequence[Outcome]) -> ObjectiveError | None:
    """What an objective could not score; that people have to rate something first is no failure."""
    failures = (outcome.failure for outcome in outcomes if outcome.failure is not None)
    return next((failure for failure in failures if not isinstance(failure, UnratedError)), None)


def awaited(outcomes: Sequence[Outcome]) -> list[str]:
    """Items that people have to rate before these plays can go on, each once."""
    waiting = (outcome.failure for outcome in outcomes if isinstance(outcome.failure, UnratedError))
    return sorted({item for failure in waiting for item in failure.items})


def try_plays(
    generator: CachedGenerator,
    plays: Sequence[Play],
    objectives: Sequence[Objective],
    on_round: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Tries settings on tasks: each round of all of them in common batches. A failure ends its own play and no other.

    Args:
        generator: generator and protocol.
        plays: P tasks with the setting that each is tried with.
        objectives: M of them; the first chooses what is liked and disliked, which without any nobody does.
        on_round: called after each round.

    Returns:
        P outcomes.

    Raises:
        ValueError: a task lacks what an objective needs.
    """
    under_way = [
        _UnderWay(k, task, for_task(params, task), new_session(task, generator.protocol))
        for k, (task, params) in enumerate(plays)
    ]
    for number in range(generator.protocol.rounds):
        if going := [played for played in under_way if played.failure is None]:
            _play_round(generator, going, objectives, number)
        on_round()
    return [played.outcome(len(objectives)) for played in under_way]


@dataclass
class _UnderWay:
    """A play between two rounds.

    Attributes:
        place: among the plays.
        scores: M x n of each round.
        last: images of the last round.
    """

    place: int
    task: Task
    params: FabricParams
    session: Session
    scores: list[Scores] = field(default_factory=list)
    last: Sequence[Made] = ()
    failure: ObjectiveError | None = None

    def outcome(self, objectives: int) -> Outcome:
        """What came of it."""
        scores = np.stack(self.scores, axis=1) if self.scores else np.empty((objectives, 0, 0))
        return Outcome(self.session, scores, _attention(self.last), self.failure)


def _play_round(
    generator: CachedGenerator, going: Sequence[_UnderWay], objectives: Sequence[Objective], number: int
) -> None:
    """One round of all plays; those that cannot be scored have their failure afterwards."""
    protocol = generator.protocol
    settings = [_setting(protocol, played.session, played.params) for played in going]
    requests, generated = _generate(generator, going, settings, number)
    scored = [*objectives] if protocol.like_only is None else [*objectives, protocol.like_only.objective]
    with_baseline = any("baseline" in objective.needs for objective in scored)
    contexts = _contexts(generator, going, requests, number, with_baseline)
    for k, (played, params) in enumerate(zip(going, settings, strict=True)):
        played.last = generated[k * protocol.images : (k + 1) * protocol.images]
        played.session.record(
            [made.image for made in played.last], [made.prompt for made in played.last], [params] * len(played.last)
        )
    scores, failures = _scored(scored, [made.image for made in generated], contexts, protocol.images)
    for k, played in enumerate(going):
        played.failure = played.failure or failures.get(k)
        if played.failure is not None:
            continue
        choice = _choice(protocol, scores[0, k], scores[-1, k]) if len(scores) else RoundChoice((), ())
        played.session.choose(choice if protocol.rahf is None else _criticised(choice, protocol.rahf, played))
        played.scores.append(scores[: len(objectives), k])


def _generate(
    generator: CachedGenerator, going: Sequence[_UnderWay], settings: Sequence[FabricParams], number: int
) -> tuple[list[list[Request]], list[Made]]:
    """What each play asks for, n requests, and what came of them, P n images; see `Protocol.best_of`."""
    n, best_of = generator.protocol.images, generator.protocol.best_of
    count = n if best_of is None else n * best_of.count
    requests = [played.session.requests([params] * count) for played, params in zip(going, settings, strict=True)]
    made = generator([request for batch in requests for request in batch])
    if best_of is None:
        return requests, made
    contexts = _contexts(generator, going, requests, number, "baseline" in best_of.objective.needs)
    (scores,), failures = _scored([best_of.objective], [image.image for image in made], contexts, count)
    kept: list[Made] = []
    for k, played in enumerate(going):
        played.failure = failures.get(k)
        # Image j is picked among the seeds j, j + n, j + 2 n, ..., the first of which is the one it would have had.
        picked = [j + n * best for j, best in enumerate(scores[k].reshape(-1, n).argmax(axis=0).tolist())]
        kept += [made[k * count + place] for place in picked]
        requests[k] = [requests[k][place] for place in picked]
    return requests, kept


def _choice(protocol: Protocol, scores: Scores, filtered: Scores) -> RoundChoice:
    """What is liked and disliked of n images, by their scores and those of the filter."""
    passes = np.ones(len(scores), dtype=bool) if protocol.like_only is None else protocol.like_only.passes(filtered)
    best, worst = int(np.where(passes, scores, -np.inf).argmax()), int(scores.argmin())
    liked = (best,) if passes.any() and protocol.feedback != "disliked" else ()
    disliked = (worst,) if protocol.feedback != "liked" else ()
    return RoundChoice(liked, disliked)


def _criticised(choice: RoundChoice, rahf: RahfPredictor, played: _UnderWay) -> RoundChoice:
    """The choice with what a predictor of rich feedback finds wrong with the images of the last round."""
    prompt = played.task.prompt
    said = rahf([made.image for made in played.last], [prompt] * len(played.last))
    marked = {
        place: marked_places(np.maximum(said[place].artifact_map, said[place].misalignment_map), MARKED, _GROW)
        for place in {*choice.liked, *choice.disliked}
    }
    masks = {place: torch.from_numpy(found).float() for place, found in marked.items() if found.any()}
    return replace(choice, marked=masks, missed=missed_words(prompt, said))


def _attention(made: Sequence[Made]) -> dict[str, float]:
    """Means over the images of a round."""
    names = dict.fromkeys(name for image in made for name in image.attention)
    return {name: statistics.fmean(image.attention.get(name, 0.0) for image in made) for name in names}


def _setting(protocol: Protocol, session: Session, params: FabricParams) -> FabricParams:
    """The setting, or plain Stable Diffusion as long as there is no feedback; see `Protocol.rounds`."""
    if session.liked or session.disliked or session.rounds:
        return params
    return replace(protocol.plain, prompt_dropout=params.prompt_dropout if protocol.dropout_first else 0.0)


def new_session(task: Task, protocol: Protocol) -> Session:
    """A session before its first round; its seed depends on the protocol's, the prompt and the replication."""
    again = (task.replication,) if task.replication else ()
    seed = generator_for("task", protocol.seed, task.prompt, *again).initial_seed()
    liked = (*task.liked, *task.library)
    return Session(task.prompt, seed, protocol.steps, protocol.size, liked, task.disliked, task.negative_prompt)


def by_image(objective: Objective, task: Task, outcome: Outcome) -> Scores:
    """Scores of what was played, R x n, higher is better.

    Args:
        objective: that needs prompt and target alone.
        task: that was played.
        outcome: of it.
    """
    context = Context(task.prompt, task.targets)
    rounds = [done.pictures for done in outcome.session.rounds]
    rows = [score(objective, pictures, [context] * len(pictures)) for pictures in rounds]
    return np.array([toward_higher(objective, row) for row in rows])


def _scored(
    objectives: Sequence[Objective], images: Sequence[Image], contexts: Sequence[Context], each: int
) -> tuple[Scores, dict[int, ObjectiveError]]:
    """Scores of P plays of n images, M x P x n, higher is better; and what failed, by the place of its play."""
    table = np.full((len(objectives), len(images) // each, each), np.nan)
    failures: dict[int, ObjectiveError] = {}
    for m, objective in enumerate(objectives):
        try:
            table[m] = np.reshape(toward_higher(objective, score(objective, images, contexts)), (-1, each))
        except ObjectiveError as together:
            for place in range(table.shape[1]):
                own = slice(place * each, (place + 1) * each)
                try:
                    alone = _scored_alone(objective, images[own], contexts[own], together, place * each)
                    table[m, place] = toward_higher(objective, alone)
                except ObjectiveError as failure:
                    failures.setdefault(place, failure)
    return table, failures


def _scored_alone(
    objective: Objective, images: Sequence[Image], contexts: Sequence[Context], together: ObjectiveError, start: int
) -> list[float]:
    """Scores of one play's images out of a batch that failed, `start` images into it.

    Raises:
        ObjectiveError: one of these images failed.
    """
    if objective.of_batch or objective.asks_people:  # the play is tried without what the others lack
        return score(objective, images, contexts)
    scores = together.scores[start : start + len(images)]
    if failed := {k: together.failures[start + k] for k, value in enumerate(scores) if not math.isfinite(value)}:
        raise ObjectiveError(objective.name, scores, failed)
    return scores


def _contexts(
    generator: CachedGenerator,
    going: Sequence[_UnderWay],
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
    owners = [played for played, batch in zip(going, requests, strict=True) for _ in batch]
    return [
        Context(
            owner.task.prompt,
            owner.task.targets,
            tuple(image.picture for image in request.liked),
            tuple(image.picture for image in request.disliked),
            baseline,
            (owner.place, number),
        )
        for owner, request, baseline in zip(owners, flat, baselines, strict=True)
    ]
