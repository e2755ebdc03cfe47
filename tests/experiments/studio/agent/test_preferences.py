"""What clicks say to the agent's model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.studio.agent.features import AgedReferences
from experiments.studio.agent.preferences import preference_data
from experiments.studio.history.records import Choice, Mark, Record
from experiments.studio.history.state import ShownImage, fold
from fabric.params import FabricParams
from optimizer.choices import PreferenceData

NAMES = ["a", "b", "c", "d"]
SHOWN = [
    ShownImage(name, place, {}, 1, place, place, "a star", "", FabricParams(strength=1.0 + place), ("given",))
    for place, name in enumerate(NAMES)
]


def _nothing_expected(settings: list[FabricParams], references: AgedReferences) -> Tensor:
    return torch.zeros(len(settings), dtype=torch.float64)


def _said(*records: Record) -> PreferenceData:
    data = preference_data(fold(SHOWN, records), _nothing_expected)  # type: ignore[arg-type]
    assert data is not None
    return data


def _names(data: PreferenceData, said: Sequence[Sequence[int]]) -> list[list[str]]:
    return [[NAMES[data.numbers[row]] for row in rows] for rows in said]


def _mark(image: str, sign: str) -> Mark:
    return Mark(rater="ann", image=image, sign=sign)  # type: ignore[arg-type]


def test_a_like_is_one_choice_and_a_dislike_one_choice_of_the_worst() -> None:
    data = _said(_mark("b", "liked"), _mark("d", "disliked"))
    assert _names(data, data.choices) == [["b", "a", "c", "d"]]
    assert _names(data, data.rejections) == [["d", "a", "c"]]


def test_two_dislikes_are_two_and_not_one_for_each_unmarked_image() -> None:
    data = _said(_mark("a", "disliked"), _mark("c", "disliked"))
    assert _names(data, data.choices) == []
    assert _names(data, data.rejections) == [["a", "b", "d"], ["c", "b", "d"]]


def test_where_everything_is_marked_nothing_is_said_twice() -> None:
    data = _said(*(_mark(name, "liked" if name in "ab" else "disliked") for name in NAMES))
    assert _names(data, data.choices) == [["a", "c", "d"], ["b", "c", "d"]]
    assert _names(data, data.rejections) == []


def test_a_pick_says_what_the_like_of_its_image_would() -> None:
    data = _said(Choice(rater="ann", options=tuple(NAMES), chosen="c"), _mark("c", "liked"))
    assert _names(data, data.choices) == [["c", "a", "b", "d"]]
