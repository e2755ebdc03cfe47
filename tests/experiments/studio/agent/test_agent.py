"""The agent on histories that are made up, without a picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from experiments.run.space import picture_name
from experiments.studio.agent.agent import Agent, starting_settings
from experiments.studio.history.records import Choice, Freeze, Mark, MoreLike, Record
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State, fold
from fabric.params import FabricParams

AGENT = Agent(images=4, guidance=4.0, seed=0)
PLAIN = FabricParams(strength=0, guidance_scale=4.0)
LIKES: list[Record] = [Mark(rater="ann", image=image, sign="liked") for image in ("good", "bad")]


def _round(number: int, settings: list[FabricParams], liked: tuple[str, ...] = ()) -> list[ShownImage]:
    names = ["good", "bad", "02", "03"] if number == 0 else [f"{number}{place}" for place in range(4)]
    return [
        ShownImage(name, 4 * number + place, {}, number, place, place, "a star", "", params, liked)
        for place, (name, params) in enumerate(zip(names, settings, strict=True))
    ]


def _history(rounds: int) -> tuple[list[ShownImage], list[Record]]:
    """Somebody picks what follows the good reference and not the bad one."""
    generator = torch.Generator().manual_seed(0)
    shown, said = _round(0, [PLAIN] * 4), list(LIKES)
    for number in range(1, rounds + 1):
        weights = torch.rand(4, 2, generator=generator).tolist()
        settings = [
            FabricParams(strength=1.0, guidance_scale=4.0, weights={"good": good, "bad": bad}) for good, bad in weights
        ]
        images = _round(number, settings, ("good", "bad"))
        best = max(range(4), key=lambda place: weights[place][0] - weights[place][1])
        shown += images
        said.append(Choice(rater="ann", options=tuple(each.id for each in images), chosen=images[best].id))
    return shown, said


def _state(rounds: int, *more: Record) -> State:
    shown, said = _history(rounds)
    return fold(shown, [*said, *more])


def test_without_references_all_images_are_plain() -> None:
    proposals = AGENT.propose(State(prompt="a star"))
    assert [each.params for each in proposals] == [PLAIN] * 4


def test_with_references_and_nothing_said_of_settings_the_starting_settings_come() -> None:
    state = fold(_round(0, [PLAIN] * 4), LIKES)
    assert tuple(replace(each.params, weights={}) for each in AGENT.propose(state)) == starting_settings(4.0)


@pytest.mark.parametrize("guidance", [1.0, 1.5, 20.0])
def test_any_guidance_of_plain_images_will_do(guidance: float) -> None:
    proposals = Agent(4, guidance, 0).propose(fold(_round(0, [PLAIN] * 4), LIKES))
    assert all(1 <= each.params.guidance_scale <= guidance for each in proposals)


def test_images_of_a_round_have_different_parts_of_the_liked_images_and_at_least_one() -> None:
    likes = [Mark(rater="ann", image=image, sign="liked") for image in ("good", "bad", "02", "03")]
    state = fold(_round(0, [PLAIN] * 4), likes)
    kept = [
        {image for image in state.liked if each.params.weights.get(image, 1.0) > 0} for each in AGENT.propose(state)
    ]
    assert all(kept)
    assert len({frozenset(each) for each in kept}) > 1


def test_a_reference_that_leads_astray_fades() -> None:
    few, many = (AGENT.propose(_state(rounds)) for rounds in (1, 10))
    gap = [sum(each.params.weights["good"] - each.params.weights["bad"] for each in batch) / 4 for batch in (few, many)]
    assert gap[1] > 0.3
    assert gap[1] > gap[0]


def test_proposals_depend_on_state_and_seed_alone() -> None:
    state = _state(3)
    assert AGENT.propose(state) == Agent(4, 4.0, 0).propose(_state(3))
    assert AGENT.propose(state) != Agent(4, 4.0, 1).propose(state)


@pytest.mark.parametrize("rounds", [0, 3])
def test_frozen_knobs_stay(rounds: int) -> None:
    freeze = [Freeze(rater="ann", knob=knob, value=value) for knob, value in (("strength", 0.7), ("start", 0.9))]
    for each in AGENT.propose(_state(rounds, *freeze)):
        assert each.params.strength == 0.7
        assert each.params.start == 0.9
        assert each.params.end >= 0.9


def test_more_like_a_setting_is_near_it() -> None:
    state = _state(3, MoreLike(rater="ann", image="21"))
    wished = state.images["21"].params
    for each in AGENT.propose(state):
        assert abs(each.params.bottleneck - wished.bottleneck) < 0.7
        assert abs(each.params.weights["good"] - wished.weights["good"]) < 0.5
        assert 0.4 < each.params.strength / wished.strength < 2.5


def test_the_space_grows_with_the_references() -> None:
    names = AGENT.space(_state(2)).distributions
    upload = Mark(rater="ann", image="10", sign="disliked")
    assert AGENT.space(_state(2, upload)).distributions.keys() - names.keys() == {picture_name("weights", "10")}
