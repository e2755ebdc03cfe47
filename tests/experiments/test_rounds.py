from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL.Image import Image

from experiments.rounds import Outcome, Protocol, Studio, Task, play
from fabric.generator import FabricGenerator, Request
from fabric.params import FabricParams
from fabric.session import Session
from objectives.base import Context, Objective
from objectives.combine import BaselineDifference
from objectives.testing import sample_images
from tests.fabric.pipelines import build

PROTOCOL = Protocol(rounds=3, images=2, steps=2, batch=3)
PARAMS = FabricParams(strength=1, guidance_scale=4)
TASKS = [Task("a red star", targets=tuple(sample_images(1))), Task("a blue ring at night")]


class Redness(Objective):
    """Mean red, and a record of what it was given."""

    name = "redness"

    def __init__(self, *, higher_is_better: bool = True) -> None:
        self.higher_is_better = higher_is_better
        self.contexts: list[Context] = []

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        self.contexts += contexts
        return [float(np.asarray(image)[..., 0].mean()) for image in images]


class Counting(FabricGenerator):
    """Counts the requests."""

    count = 0

    def __call__(self, requests, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.count += len(requests)
        assert len(requests) <= PROTOCOL.batch
        return super().__call__(requests, *args, **kwargs)


@pytest.fixture
def studio() -> Studio:
    return Studio(Counting(build("sd1")), PROTOCOL)


def test_the_best_is_liked_and_the_worst_disliked(studio: Studio) -> None:
    outcomes = play(studio, TASKS, PARAMS, Redness())
    for outcome in outcomes:
        assert outcome.scores.shape == (3, 2)
        for one, row in zip(outcome.session.rounds, outcome.scores, strict=True):
            assert one.choice.liked == (int(row.argmax()),)
            assert one.choice.disliked == (int(row.argmin()),)
            red = [float(np.asarray(picture)[..., 0].mean()) for picture in one.pictures]
            assert row.tolist() == red
    turned = play(studio, TASKS, PARAMS, Redness(higher_is_better=False))
    assert turned[0].session.rounds[0].choice.liked == outcomes[0].session.rounds[0].choice.disliked


def test_a_task_does_not_depend_on_the_others(studio: Studio) -> None:
    together = play(studio, TASKS, PARAMS, Redness())
    alone = play(Studio(FabricGenerator(build("sd1")), PROTOCOL), TASKS[1:], PARAMS, Redness())
    # Later rounds may differ: where rounding changes a grey level of a feedback image, it is another image.
    np.testing.assert_allclose(together[1].scores[0], alone[0].scores[0], atol=0.5)
    seeds = [[request.seed for request in one.session.requests([PARAMS] * 2)] for one in (together[1], alone[0])]
    assert seeds[0] == seeds[1]


def test_images_without_feedback_are_generated_once(studio: Studio) -> None:
    assert isinstance(studio.fabric, Counting)
    play(studio, TASKS, PARAMS, Redness())
    assert studio.fabric.count == 2 * 3 * 2
    play(studio, TASKS, FabricParams(strength=2, guidance_scale=4), Redness())
    assert studio.fabric.count == 2 * 3 * 2 + 2 * 2 * 2
    play(studio, TASKS, FabricParams(strength=0, guidance_scale=4), Redness())
    count = studio.fabric.count
    play(studio, TASKS, FabricParams(strength=0, guidance_scale=4, end=0.5), Redness())
    assert studio.fabric.count == count


def test_contexts_say_what_images_are_scored_against(studio: Studio) -> None:
    objective = Redness()
    outcomes = play(studio, TASKS, PARAMS, objective)
    assert [context.prompt for context in objective.contexts[:4]] == [TASKS[0].prompt] * 2 + [TASKS[1].prompt] * 2
    assert [len(context.liked) for context in objective.contexts] == [0] * 4 + [1] * 4 + [2] * 4
    assert len({context.group for context in objective.contexts}) == 6
    assert objective.contexts[0].targets == TASKS[0].targets
    last = outcomes[1].session
    assert [image.tobytes() for image in objective.contexts[-1].disliked] == [
        image.picture.tobytes() for image in last.disliked[:2]
    ]


def test_the_baseline_has_prompt_and_seed_of_the_image(studio: Studio) -> None:
    objective = BaselineDifference(Redness())
    guidance = FabricParams(strength=1, guidance_scale=PROTOCOL.baseline_guidance)
    outcomes = play(studio, TASKS, guidance, objective)
    assert (outcomes[0].scores[0] == 0).all()  # the first round is its own baseline
    assert (outcomes[0].scores[1:] != 0).all()


def test_values_of_an_outcome() -> None:
    outcome = Outcome(Session("x"), np.array([[1.0, 5.0], [2.0, 3.0]]))
    assert [outcome.value(kind) for kind in ("last", "best", "all")] == [2.5, 5.0, 2.75]


def test_a_missing_target_is_named_before_the_objective_runs(studio: Studio) -> None:
    objective = Redness()
    objective.needs = frozenset({"target"})
    with pytest.raises(ValueError, match="redness needs target, which the context of 'a blue ring at night' lacks"):
        play(studio, TASKS, PARAMS, objective)
    assert objective.contexts == []


def test_every_image_is_reported() -> None:
    seen: list[int] = []
    studio = Studio(FabricGenerator(build("sd1")), PROTOCOL, on_image=lambda: seen.append(1))
    play(studio, TASKS, PARAMS, Redness())
    assert len(seen) == 12
    assert studio.images([Request("x", 1), Request("x", 1)])[0] == studio.images([Request("x", 1)])[0]
