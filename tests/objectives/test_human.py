from __future__ import annotations

import json
import statistics

import pytest

from objectives.human import Choice, Rating, Statement, Withdrawal, from_dict, observations, to_dict

RATINGS = [
    Rating(rater="ann", image="a", value=5),
    Rating(rater="bob", image="a", value=3),
    Rating(rater="ann", image="b", value=2),
]
RECORDS: list[Statement] = [
    *RATINGS,
    Choice(rater="ann", options=("a", "b", "c"), chosen="c"),
    Choice(rater="bob", options=("a", "b"), chosen=None),
    Withdrawal(rater="ann", record=RATINGS[0].id),
]


def test_records_survive_json() -> None:
    for record in RECORDS:
        assert from_dict(json.loads(json.dumps(to_dict(record)))) == record
    assert all(record.time > 1.7e9 for record in RECORDS)


def test_observations_are_means_with_their_standard_errors() -> None:
    found = observations(RATINGS)
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
