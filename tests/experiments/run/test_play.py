from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from PIL.Image import Image

from experiments.run.cached_generator import CachedGenerator
from experiments.run.play import Outcome, Play, play, try_plays
from experiments.run.protocol import BestOf, Filter, Protocol, Task
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.session import Session
from objectives.base import Context, Objective, ObjectiveError
from objectives.combinators import BaselineDifference
from objectives.rahf.predictor import RahfPredictor, RichPrediction
from objectives.richhf import tokens
from objectives.testing import sample_images
from tests.fabric.pipelines import build

PROTOCOL = Protocol(rounds=3, images=2, steps=2, size=(32, 32), batch=3, guidance=4)
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


def _plays(params: FabricParams = PARAMS, tasks: Sequence[Task] = TASKS) -> list[Play]:
    return [(task, params) for task in tasks]


@pytest.fixture
def generator() -> CachedGenerator:
    return CachedGenerator(Counting(build("sd1")), PROTOCOL)


def test_the_best_is_liked_and_the_worst_disliked(generator: CachedGenerator) -> None:
    outcomes = play(generator, _plays(), [Redness()])
    for outcome in outcomes:
        assert outcome.scores.shape == (1, 3, 2)
        for one, row in zip(outcome.session.rounds, outcome.scores[0], strict=True):
            assert one.choice.liked == (int(row.argmax()),)
            assert one.choice.disliked == (int(row.argmin()),)
            red = [float(np.asarray(picture)[..., 0].mean()) for picture in one.pictures]
            assert row.tolist() == red
    turned = play(generator, _plays(), [Redness(higher_is_better=False)])
    assert turned[0].session.rounds[0].choice.liked == outcomes[0].session.rounds[0].choice.disliked


@pytest.mark.parametrize("feedback", ["liked", "disliked"])
def test_feedback_of_one_sign_alone(feedback: Literal["liked", "disliked"]) -> None:
    generator = CachedGenerator(Counting(build("sd1")), replace(PROTOCOL, feedback=feedback))
    for outcome in play(generator, _plays(), [Redness()]):
        for one in outcome.session.rounds:
            assert len(one.choice.liked) == (feedback == "liked")
            assert len(one.choice.disliked) == (feedback == "disliked")


class Greenness(Redness):
    """Mean green."""

    name = "greenness"

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        return [float(np.asarray(image)[..., 1].mean()) for image in images]


@pytest.mark.parametrize("sign", [1, -1])
def test_only_what_passes_the_filter_is_liked(sign: int) -> None:
    plain = play(CachedGenerator(FabricGenerator(build("sd1")), PROTOCOL), _plays(tasks=TASKS[:1]), [Redness()])
    green = Greenness(higher_is_better=sign > 0)
    scores = green(plain[0].session.rounds[0].pictures, [])
    for bound, liked in ((max(scores) + 1, sign < 0), (min(scores) - 1, sign > 0), (float(np.mean(scores)), True)):
        protocol = replace(PROTOCOL, rounds=1, like_only=Filter(green, bound))
        (outcome,) = play(
            CachedGenerator(FabricGenerator(build("sd1")), protocol), _plays(tasks=TASKS[:1]), [Redness()]
        )
        assert outcome.scores.shape == (1, 1, 2)  # the filter is none of the objectives
        choice = outcome.session.rounds[0].choice
        assert bool(choice.liked) == liked
        assert len(choice.disliked) == 1
        assert all(sign * scores[place] >= sign * bound for place in choice.liked)


class Critic(RahfPredictor):
    """Finds the left half of every image faulty and its last word not shown, or nothing."""

    def __init__(self, *, faulty: bool) -> None:
        super().__init__("nowhere")
        self.artifacts = np.zeros((8, 8))
        self.artifacts[:, :4] = 0.9 * faulty

    def __call__(self, images: Sequence[Image], prompts: Sequence[str]) -> list[RichPrediction]:
        words = [(*[0.1] * (len(tokens(prompt)) - 1), self.artifacts.max()) for prompt in prompts]
        return [RichPrediction({}, self.artifacts, np.zeros((8, 8)), each) for each in words]


@pytest.mark.parametrize("faulty", [True, False])
def test_what_is_predicted_to_be_wrong_is_masked(faulty: bool) -> None:
    generator = CachedGenerator(FabricGenerator(build("sd1")), replace(PROTOCOL, rounds=2, rahf=Critic(faulty=faulty)))
    for outcome in play(generator, _plays(), [Redness()]):
        ((liked, _), (disliked, _)) = outcome.session.liked, outcome.session.disliked
        if not faulty:
            assert liked.mask is disliked.mask is None
            assert outcome.session.requests([PARAMS])[0].missed == frozenset()
        else:
            assert liked.mask is not None
            assert disliked.mask is not None
            assert torch.equal(liked.mask, 1 - disliked.mask)
            assert disliked.mask[:, :4].min() == 1
            assert disliked.mask[:, 5:].max() == 0
            assert outcome.session.requests([PARAMS])[0].missed == {outcome.session.prompt.split()[-1]}


@pytest.mark.parametrize("sign", [1, -1])
def test_each_image_is_the_best_of_several_seeds(sign: int) -> None:
    def rounds_of(protocol: Protocol, params: FabricParams) -> list[list[Image]]:
        generator = CachedGenerator(FabricGenerator(build("sd1")), protocol)
        outcomes = play(generator, _plays(params, TASKS), [Redness()])
        assert all(outcome.scores.shape == (1, 1, protocol.images) for outcome in outcomes)
        return [outcome.session.rounds[0].pictures for outcome in outcomes]

    first = replace(PROTOCOL, rounds=1)
    green = Greenness(higher_is_better=sign > 0)
    all_of_them = rounds_of(replace(first, images=6), PROTOCOL.plain)
    picked = rounds_of(replace(first, best_of=BestOf(3, green)), PROTOCOL.plain)
    for made, kept in zip(all_of_them, picked, strict=True):
        scores = sign * np.array(green(made, []))
        for image in range(2):
            best = image + 2 * int(scores[image::2].argmax())
            np.testing.assert_allclose(np.asarray(kept[image], float), np.asarray(made[best], float), atol=1)


def test_a_task_does_not_depend_on_the_others(generator: CachedGenerator) -> None:
    together = play(generator, _plays(), [Redness()])
    alone = play(CachedGenerator(FabricGenerator(build("sd1")), PROTOCOL), _plays(tasks=TASKS[1:]), [Redness()])
    # Later rounds may differ: where rounding changes a grey level of a feedback image, it is another image.
    np.testing.assert_allclose(together[1].scores[0, 0], alone[0].scores[0, 0], atol=0.5)
    seeds = [[request.seed for request in one.session.requests([PARAMS] * 2)] for one in (together[1], alone[0])]
    assert seeds[0] == seeds[1]


def test_images_without_feedback_are_generated_once(generator: CachedGenerator) -> None:
    assert isinstance(generator.fabric, Counting)
    play(generator, _plays(), [Redness()])
    assert generator.fabric.count == generator.count == 2 * 3 * 2
    play(generator, _plays(FabricParams(strength=2, guidance_scale=6)), [Redness()])
    assert generator.fabric.count == 2 * 3 * 2 + 2 * 2 * 2  # the first round is plain whatever the setting
    play(generator, _plays(PROTOCOL.plain), [Redness()])
    count = generator.fabric.count
    play(generator, _plays(FabricParams(strength=0, guidance_scale=4, end=0.5)), [Redness()])
    assert generator.fabric.count == count


def test_the_first_round_has_the_setting_where_feedback_is_given(generator: CachedGenerator) -> None:
    given = Task("a red star", liked=(FeedbackImage(sample_images(1)[0]),))
    with_feedback, without = play(generator, [(given, PARAMS), (TASKS[0], PARAMS)], [Redness()])
    assert with_feedback.session.rounds[0].params == [PARAMS] * 2
    assert without.session.rounds[0].params == [PROTOCOL.plain] * 2
    assert without.session.rounds[1].params == [PARAMS] * 2


def test_several_objectives_score_the_same_images_and_the_first_chooses(generator: CachedGenerator) -> None:
    class Darkness(Redness):
        name = "darkness"

        def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
            return [-value for value in super().__call__(images, contexts)]

    both = play(generator, _plays(), [Redness(), Darkness()])[0]
    np.testing.assert_allclose(both.scores[0], -both.scores[1])
    assert both.session.rounds[0].choice.liked == (int(both.scores[0, 0].argmax()),)
    assert both.value("last", 1) == pytest.approx(-both.value("last"))


def test_contexts_say_what_images_are_scored_against(generator: CachedGenerator) -> None:
    objective = Redness()
    outcomes = play(generator, _plays(), [objective])
    assert [context.prompt for context in objective.contexts[:4]] == [TASKS[0].prompt] * 2 + [TASKS[1].prompt] * 2
    assert [len(context.liked) for context in objective.contexts] == [0] * 4 + [1] * 4 + [2] * 4
    assert len({context.group for context in objective.contexts}) == 6
    assert objective.contexts[0].targets == TASKS[0].targets
    last = outcomes[1].session
    assert [image.tobytes() for image in objective.contexts[-1].disliked] == [
        image.picture.tobytes() for image in last.disliked[:2]
    ]


def test_the_baseline_has_prompt_and_seed_of_the_image(generator: CachedGenerator) -> None:
    objective = BaselineDifference(Redness())
    outcomes = play(generator, _plays(), [objective])
    assert (outcomes[0].scores[0, 0] == 0).all()  # the first round is its own baseline
    assert (outcomes[0].scores[0, 1:] != 0).all()


def test_values_of_an_outcome() -> None:
    outcome = Outcome(Session("x"), np.array([[[1.0, 5.0], [2.0, 3.0]]]))
    assert [outcome.value(kind) for kind in ("last", "best", "all")] == [2.5, 5.0, 2.75]


def test_a_missing_target_is_named_before_the_objective_runs(generator: CachedGenerator) -> None:
    objective = Redness()
    objective.needs = frozenset({"target"})
    with pytest.raises(ValueError, match="redness needs target, which the context of 'a blue ring at night' lacks"):
        play(generator, _plays(), [objective])
    assert objective.contexts == []


def test_every_round_is_reported(generator: CachedGenerator) -> None:
    seen: list[int] = []
    play(generator, _plays(), [Redness()], lambda: seen.append(1))
    assert len(seen) == 3
    assert generator([Request("x", 1), Request("x", 1)])[0] == generator([Request("x", 1)])[0]


class Faulty(Redness):
    """Cannot score the images of the second play from its second round on."""

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        if any(context.group in {(1, 1), (1, 2)} for context in contexts):
            raise ZeroDivisionError("no red")
        return super().__call__(images, contexts)


@pytest.mark.parametrize("of_batch", [False, True])
def test_what_cannot_be_scored_ends_its_own_play_and_no_other(generator: CachedGenerator, of_batch: bool) -> None:
    faulty = Faulty()
    faulty.of_batch = of_batch
    good, bad = try_plays(generator, _plays(), [Redness(), faulty])
    assert good.failure is None
    assert good.scores.shape == (2, 3, 2)
    whole = play(generator, _plays(), [Redness()])[0]
    np.testing.assert_allclose(good.scores, whole.scores.repeat(2, axis=0), atol=0.5)  # rounding, as above
    assert bad.scores.shape == (2, 1, 2)
    assert len(bad.session.rounds) == 2
    assert "ZeroDivisionError: no red" in str(bad.failure)
    with pytest.raises(ObjectiveError, match="ZeroDivisionError: no red"):
        play(generator, _plays(), [faulty])


def test_where_nothing_can_be_scored_nothing_more_is_generated(generator: CachedGenerator) -> None:
    class Broken(Redness):
        def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
            return [float("nan")] * len(images)

    outcomes = try_plays(generator, _plays(), [Broken()])
    assert all("gave nan" in str(outcome.failure) for outcome in outcomes)
    assert generator.count == 2 * 2
