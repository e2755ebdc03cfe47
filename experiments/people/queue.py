"""What a person answers next: what still lacks answers, in random order, and now and then something again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from experiments.people.questions import Questions
from fabric.seeding import generator_for

_BEFORE_REPEATS = 5  # questions that a person must have answered
_NOT_AGAIN = 4  # last questions, which he remembers


@dataclass(frozen=True)
class Turn:
    """Whose turn it is to answer what.

    Attributes:
        question: id of it; None while there is nothing for this person to do.
        given: answers that this person has given.
        left: questions that lack answers and that he has not answered.
    """

    question: str | None
    given: int
    left: int


def next_turn(questions: Questions, rater: str, repeats: float) -> Turn:
    """What a person is to answer; the same until he has answered it.

    Nothing tells which trial made an image, and the order is random, so nobody can favour a setting.

    Args:
        questions: of the run.
        rater: who.
        repeats: share of questions that are asked again, to see how steady he is.
    """
    own = [answered.question for answered in questions.answered if answered.rater == rater]
    raters, asked = questions.raters_of(), questions.asked
    lacking = [
        question for question in asked if rater not in raters[question] and len(raters[question]) < questions.needed
    ]
    if not lacking:
        return Turn(None, len(own), 0)
    generator = generator_for("turn", rater, len(own))
    again = _answered_once(own)
    if again and float(torch.rand((), generator=generator)) < repeats:
        return Turn(again[int(torch.randint(len(again), (), generator=generator))], len(own), len(lacking))
    # By a random number of each, so that what comes in meanwhile changes the order of the rest, not of this.
    chosen = min(lacking, key=lambda question: generator_for("order", rater, question).initial_seed())
    return Turn(chosen, len(own), len(lacking))


def _answered_once(own: Sequence[str]) -> list[str]:
    """Questions that a person has answered once, some time ago."""
    if len(own) < _BEFORE_REPEATS:
        return []
    return sorted({question for question in own[:-_NOT_AGAIN] if own.count(question) == 1})
