from __future__ import annotations

import json

import pytest

from experiments.studio.history.records import (
    Favourite,
    Freeze,
    Mark,
    MoreLike,
    Prompt,
    Record,
    Rich,
    Upload,
    from_dict,
    to_dict,
)
from objectives.human import Choice, Rating, Withdrawal
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
    Rich(rater="ann", image="a", rich=RICH),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_survive_json(record: Record) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(record)))) == record


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "wink", "rater": "ann"}, "kind: 'wink' is unknown; allowed: rating, choice"),
        ({"kind": "mark", "rater": "ann", "image": "a", "sign": "loved"}, "sign: 'loved' is unknown; allowed: liked"),
        ({"kind": "upload", "rater": "ann", "image": "a", "sign": None}, "sign: None is unknown"),
        ({"kind": "freeze", "rater": "ann", "knob": "zeal", "value": 1}, "knob: 'zeal' is unknown; allowed: strength"),
        ({"kind": "freeze", "rater": "ann", "knob": "end", "value": 1.5}, "end: 1.5 is out of range; allowed: 0 to 1"),
        ({"kind": "rating", "rater": "ann", "image": "a", "value": 6}, "rating: 6 is out of range"),
        ({"kind": "mark", "rater": "ann", "sign": "liked"}, "mark: .*missing"),
        ({"kind": "rich", "rater": "bob", "image": "a", "rich": RICH.to_dict()}, "rater: 'ann' in the rich rating"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_dict(values)
