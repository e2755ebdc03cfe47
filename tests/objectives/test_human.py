from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL.Image import Image

from objectives.base import Context, Objective, ObjectiveError
from objectives.human import (
    Choice,
    FeedbackLog,
    HumanRating,
    NotYetRatedError,
    Rating,
    Record,
    Withdrawal,
    choices,
    from_dict,
    observations,
    to_dict,
    valid,
)
from objectives.pictures import content_key
from objectives.scoring import score
from objectives.testing import ObjectiveContract, sample_images

RECORDS: list[Record] = [
    Rating(rater="ann", image="a", value=5),
    Rating(rater="bob", image="a", value=3),
    Rating(rater="ann", image="b", value=2),
    Choice(rater="ann", options=("a", "b", "c"), chosen="c"),
    Choice(rater="bob", options=("a", "b"), chosen=None),
]


def test_records_survive_json_and_the_file(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path / "new" / "feedback.jsonl")
    assert log.records() == []
    records = [*RECORDS, Withdrawal(rater="ann", record=RECORDS[0].id)]
    for record in records:
        assert from_dict(json.loads(json.dumps(to_dict(record)))) == record
        log.append(record)
    assert FeedbackLog(log.path).records() == records
    assert all(record.time > 1.7e9 for record in records)


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path / "feedback.jsonl")
    for record in RECORDS[:3]:
        log.append(record)
    whole = log.path.read_bytes()
    for cut in range(1, len(whole.splitlines()[2])):
        log.path.write_bytes(whole[: -cut - 1])
        log.append(RECORDS[3])
        assert log.records() == [*RECORDS[:2], RECORDS[3]]


def test_a_later_rating_replaces_and_a_withdrawal_restores() -> None:
    first = Rating(rater="ann", image="a", value=1)
    later = Rating(rater="ann", image="a", value=4)
    assert valid([first, later]) == [later]
    assert valid([first, later, Withdrawal(rater="ann", record=later.id)]) == [first]
    assert valid([first, Withdrawal(rater="ann", record=first.id)]) == []


def test_observations_are_means_with_their_standard_errors() -> None:
    found = observations(RECORDS)
    assert set(found) == {"a", "b"}
    assert (found["a"].mean, found["a"].count) == (0.75, 2)
    assert (found["b"].mean, found["b"].count) == (0.25, 1)
    pooled = ((2 * 0.2**2 + 2 * statistics.pvariance([1.0, 0.5])) / 3) ** 0.5
    assert found["b"].standard_error == pytest.approx(pooled)
    assert found["a"].standard_error == pytest.approx(pooled / 2**0.5)
    assert observations([]) == {}


def test_the_spread_of_many_raters_is_learnt() -> None:
    values = [1, 2, 3, 4, 5] * 40
    ratings = [Rating(rater=f"{k}", image="a", value=value) for k, value in enumerate(values)]
    expected = statistics.stdev((value - 1) / 4 for value in values) / len(values) ** 0.5
    assert observations(ratings)["a"].standard_error == pytest.approx(expected, rel=0.02)


def test_a_pick_stays_one_choice_and_cannot_tell_says_nothing() -> None:
    assert choices(RECORDS) == [RECORDS[3]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "rating", "rater": "ann", "image": "a", "value": 6}, "rating: 6 is out of range"),
        ({"kind": "rating", "rater": "ann", "image": "a", "value": 2.5}, "rating: 2.5 is out of range"),
        ({"kind": "rating", "rater": "ann", "value": 2}, "rating: .*image"),
        ({"kind": "rating", "rater": "ann", "image": "a", "value": 2, "mood": 1}, "rating: .*mood"),
        ({"kind": "choice", "rater": "ann", "options": ["a"], "chosen": "a"}, "options: .*two or more"),
        ({"kind": "choice", "rater": "ann", "options": ["a", "a"], "chosen": "a"}, "options: .*two or more"),
        ({"kind": "choice", "rater": "ann", "options": ["a", "b"], "chosen": "c"}, "chosen: 'c' is not among"),
        ({"kind": "like"}, "kind: 'like' is unknown; allowed: rating, choice, withdrawal"),
    ],
)
def test_bad_records_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_dict(values)


def test_scores_arrive_later(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path / "feedback.jsonl")
    objective, images = HumanRating(log), sample_images(3)
    contexts = [Context()] * 3
    log.append(Rating(rater="ann", image=content_key(images[1]), value=5))
    assert objective.waiting(images) == [0, 2]
    with pytest.raises(NotYetRatedError, match=r"no rating yet of image\(s\) 0, 2"):
        objective(images, contexts)
    with pytest.raises(ObjectiveError) as caught:
        score(objective, images, contexts)
    assert caught.value.scores[1] == 1.0
    for image in (images[0], images[2]):
        log.append(Rating(rater="bob", image=content_key(image), value=2))
    assert score(objective, images, contexts) == [0.25, 1.0, 0.25]


class _AskedAtOnce(HumanRating):
    """A person sits beside it and rates what is waiting."""

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        for place in self.waiting(images):
            key = content_key(images[place])
            self.log.append(Rating(rater="ann", image=key, value=1 + int(key, 16) % 5))
        return super().__call__(images, contexts)


class TestHumanRating(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _log(self, tmp_path: Path) -> None:
        self.path = tmp_path / "feedback.jsonl"

    def make(self) -> Objective:
        return _AskedAtOnce(FeedbackLog(self.path))
