"""What clicks say to the agent's model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from experiments.studio.agent.features import AgedReferences
from experiments.studio.agent.preferences import preference_data
from experiments.studio.history.records import Branch, Choice, Mark, Record
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import fold
from fabric.params import FabricParams
from optimizer.choices import PreferenceData

NAMES = ["a", "b", "c", "d"]
SHOWN = [
    ShownImage(name, place, {}, 1, place, place, "a star", "", FabricParams(strength=1.0 + place), ("given",))
    for place, name in enumerate(NAMES)
]

_FIRST = ShownImage("first", -1, {}, 0, 0, 9, "a star", "", FabricParams())


def _nothing_expected(settings: Sequence[FabricParams], references: AgedReferences) -> Tensor:
    return torch.zeros(len(settings), dtype=torch.float64)


def _said(*records: Record) -> PreferenceData:
    data = preference_data(fold(SHOWN, records), _nothing_expected)
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


def test_what_was_said_on_other_lines_counts_and_is_of_looks_of_its_own() -> None:
    other = [replace(image, id=f"{image.id}2", trial=image.trial + len(NAMES), line="1" * 16) for image in SHOWN]
    branch = Branch(rater="ann", line="1" * 16, left="", round=0)
    state = fold([_FIRST, *SHOWN, *other], [branch, _mark("b", "liked"), _mark("b2", "liked")])
    data = preference_data(state, _nothing_expected)
    assert data is not None
    assert len(data.choices) == 2
    assert data.groups == [1] * len(NAMES) + [2] * len(NAMES)
    assert [line.shared for line in state.lines.values()] == [0, 1]


def test_where_everything_is_marked_nothing_is_said_twice() -> None:
    data = _said(*(_mark(name, "liked" if name in "ab" else "disliked") for name in NAMES))
    assert _names(data, data.choices) == [["a", "c", "d"], ["b", "c", "d"]]
    assert _names(data, data.rejections) == []


def test_a_pick_says_what_the_like_of_its_image_would() -> None:
    data = _said(Choice(rater="ann", options=tuple(NAMES), chosen="c"), _mark("c", "liked"))
    assert _names(data, data.choices) == [["c", "a", "b", "d"]]
