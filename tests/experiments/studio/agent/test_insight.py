"""What the agent says it has learnt, on histories that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.studio.agent.agent import Agent
from experiments.studio.agent.insight import best_settings, insight_of
from experiments.studio.history.records import Choice, Freeze, Mark, Rating, Record
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State, fold
from fabric.params import FabricParams

AGENT = Agent(images=4, guidance=4.0, seed=0)
STRENGTHS = (0.1, 0.3, 1.0, 3.0)
LIKE: list[Record] = [Mark(rater="ann", image="00", sign="liked")]


def _round(number: int) -> list[ShownImage]:
    """Four strengths, in all rounds the same."""
    params = [FabricParams(strength=each if number else 0.0, guidance_scale=4.0) for each in STRENGTHS]
    return [
        ShownImage(f"{number}{k}", 4 * number + k, {}, number, k, k, "a star", "", each, ("00",) if number else ())
        for k, each in enumerate(params)
    ]


def _picks(place: int, rounds: int, *more: Record) -> State:
    shown = [each for number in range(rounds + 1) for each in _round(number)]
    options = [tuple(f"{number}{k}" for k in range(4)) for number in range(1, rounds + 1)]
    choices = [Choice(rater="ann", options=each, chosen=each[place]) for each in options]
    return fold(shown, [*LIKE, *choices, *more])


def test_before_anything_is_said_the_first_starting_setting_is_best() -> None:
    found = insight_of(AGENT, fold(_round(0), LIKE))
    assert found.best == AGENT.starts[0]
    assert (found.chance, found.low, found.high) == (0.5, 0.0, 1.0)
    assert found.importance == {}
    assert found.win_rate is None


@pytest.mark.parametrize("place", [1, 2])
def test_what_is_picked_again_and_again_is_best(place: int) -> None:
    found = insight_of(AGENT, _picks(place, 8))
    assert found.best.strength == STRENGTHS[place]
    assert found.low < found.chance < found.high
    assert sum(found.importance.values()) == pytest.approx(1)
    assert list(found.importance.values()) == sorted(found.importance.values(), reverse=True)


def test_a_frozen_knob_is_part_of_the_best_and_has_no_importance() -> None:
    state = _picks(1, 4, Freeze(rater="ann", knob="bottleneck", value=0.25))
    found = insight_of(AGENT, state)
    assert found.best.bottleneck == 0.25
    assert "bottleneck" not in found.importance
    assert best_settings(AGENT, state, AGENT.model(state)) == found.best


def test_rounds_win_when_they_are_rated_above_all_before() -> None:
    ratings = [Rating(rater="ann", image=f"{number}0", value=value) for number, value in enumerate((2, 3, 1, 5))]
    state = fold([each for number in range(4) for each in _round(number)], [*LIKE, *ratings])
    assert insight_of(AGENT, state).win_rate == pytest.approx(2 / 3)


def test_it_advises_to_stop_when_nothing_gets_better() -> None:
    ratings = [Rating(rater="ann", image=f"{number}0", value=value) for number, value in enumerate((4, 3, 3, 2))]
    state = fold([each for number in range(4) for each in _round(number)], [*LIKE, *ratings])
    assert "stop" in insight_of(AGENT, state).advice
    assert "liked" in insight_of(AGENT, replace(state, ratings={})).advice
