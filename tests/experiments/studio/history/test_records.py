from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from experiments.studio.history.records import (
    Branch,
    Choice,
    Favourite,
    Freeze,
    Making,
    Mark,
    MoreLike,
    Prompt,
    Rating,
    Record,
    Resume,
    RichFeedback,
    Upload,
    Variations,
    Withdrawal,
    from_dict,
    to_dict,
)
from experiments.studio.history.state import fold
from objectives.richhf import RichRating

RICH = RichRating(
    rater="ann",
    prompt="a red star",
    plausibility=4,
    alignment=2,
    aesthetics=3,
    overall=3,
    artifact_points=((0.1, 0.9),),
    misaligned_words=(1,),
)
RECORDS: list[Record] = [
    Rating(rater="ann", image="a", value=4),
    Choice(rater="ann", options=("a", "b"), chosen="b"),
    Choice(rater="ann", options=("a", "b"), chosen=None),
    Withdrawal(rater="ann", record="x"),
    Mark(rater="ann", image="a", sign="liked"),
    Mark(rater="ann", image="a", sign=None),
    Upload(rater="ann", image="a", sign="disliked", name="mine.jpg"),
    Prompt(rater="ann", prompt="a red star", negative_prompt="rain"),
    Favourite(rater="ann", image="a", kept=False),
    Freeze(rater="ann", knob="guidance_scale", value=5.0),
    Freeze(rater="ann", knob="start", value=None),
    MoreLike(rater="ann", image="a"),
    Variations(rater="ann", image="a"),
    Making(rater="ann", images=6, steps=30, size=(64, 96), seed=str(2**64 - 1)),
    Branch(rater="ann", line="0" * 16, left="", round=2),
    Resume(rater="ann", line=""),
    RichFeedback(rater="ann", image="a", rich=RICH),
]


LATER = {Variations, Making, Branch, Resume}
OLD_LOG = Path(__file__).parent / "old_log.jsonl"
"""What the studio wrote before records were pydantic models, one of each kind."""


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_survive_json(record: Record) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(record)))) == record
    assert record.time > 1.7e9


def test_an_old_log_is_read_and_written_as_it_was() -> None:
    lines = [json.loads(line) for line in OLD_LOG.read_text().splitlines()]
    records = [from_dict(line) for line in lines]
    assert {type(record) for record in records} == {type(record) for record in RECORDS} - LATER
    assert [to_dict(record) for record in records] == lines
    state = fold([], records)
    assert (state.prompt, state.negative_prompt) == ("a red star", "rain")
    assert (state.liked, state.disliked, state.favourites) == (("a",), ("c",), ("a",))
    assert (state.ratings, state.uploads) == ({"ann": {"a": 4}}, {"c": "mine.jpg"})
    assert [choice.id for choice in state.choices] == ["2"]
    assert (state.frozen, state.wish) == ({"guidance_scale": 5.0}, records[11])
    assert state.rich["ann"]["a"].artifact_points == ((0.1, 0.9), (1.0, 0.0))


def test_records_are_not_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RECORDS[0].rater = "bob"


_WHO = {"rater": "ann"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "wink", **_WHO}, "kind': 'wink' is unknown; allowed: 'rating', 'choice'"),
        ({"kind": [1], **_WHO}, r"kind': '\[1\]' is unknown"),
        (_WHO, "no 'kind'"),
        ([1], r"\[1\]: Input should be a valid dictionary"),
        ({"kind": "mark", **_WHO, "image": "a", "sign": "loved"}, "mark.sign: 'loved' is unknown; allowed: 'liked'"),
        ({"kind": "upload", **_WHO, "image": "a", "sign": None}, "upload.sign: None is unknown"),
        ({"kind": "freeze", **_WHO, "knob": "zeal", "value": 1}, "knob: 'zeal' is unknown; allowed: strength"),
        ({"kind": "freeze", **_WHO, "knob": "end", "value": 1.5}, "end: 1.5 is out of range; allowed: 0 to 1"),
        ({"kind": "freeze", **_WHO, "knob": "end", "value": math.nan}, "end: nan is out of range"),
        ({"kind": "rating", **_WHO, "image": "a", "value": 6}, "rating.value: 6: .*less than or equal to 5"),
        ({"kind": "rating", **_WHO, "image": "a", "value": 0}, "rating.value: 0: .*greater than or equal to 1"),
        ({"kind": "rating", **_WHO, "image": "a", "value": 2.5}, "rating.value: 2.5: "),
        ({"kind": "rating", **_WHO, "image": "a", "value": "2"}, "rating.value: '2': "),
        ({"kind": "rating", **_WHO, "value": 2}, "rating.image: missing"),
        ({"kind": "rating", **_WHO, "image": "a", "value": 2, "mood": 1}, "rating.mood: unknown key"),
        ({"kind": "mark", **_WHO, "sign": "liked"}, "mark.image: missing"),
        (
            {"kind": "branch", **_WHO, "line": "x", "left": "", "round": 0},
            "line: 'x' is no name of a line; allowed: 16",
        ),
        ({"kind": "making", **_WHO, "images": 1}, "making.images: 1: .*greater than or equal to 2"),
        ({"kind": "making", **_WHO, "steps": 0}, "making.steps: 0: "),
        ({"kind": "making", **_WHO, "size": [64]}, "making.size"),
        ({"kind": "making", **_WHO, "size": [64, 4096]}, "making.size.1: 4096: .*less than or equal to 2048"),
        ({"kind": "making", **_WHO, "seed": 7}, "making.seed: 7: "),
        ({"kind": "making", **_WHO, "seed": "-7"}, "'-7' is no seed; allowed: whole numbers below 2"),
        ({"kind": "making", **_WHO, "seed": str(2**64)}, "is no seed"),
        ({"kind": "branch", **_WHO, "line": "0" * 16, "left": "", "round": -1}, "branch.round: -1: "),
        ({"kind": "choice", **_WHO, "options": ["a"], "chosen": "a"}, "options: .*two or more"),
        ({"kind": "choice", **_WHO, "options": ["a", "a"], "chosen": "a"}, "options: .*two or more"),
        ({"kind": "choice", **_WHO, "options": ["a", "b"], "chosen": "c"}, "chosen: 'c' is not among"),
        (
            {"kind": "rich", "rater": "bob", "image": "a", "rich": RICH.model_dump(mode="json")},
            "rater: 'ann' in the rich rating",
        ),
    ],
)
def test_what_cannot_be_is_named_in_one_line(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_dict(values)
    assert "\n" not in str(caught.value)


def test_a_long_value_is_quoted_in_part() -> None:
    with pytest.raises(ValueError, match=r"rating\.value: 'aaa") as caught:
        from_dict({"kind": "rating", **_WHO, "image": "a", "value": "a" * 10_000})
    assert len(str(caught.value)) < 400
