"""What the page may send."""

from __future__ import annotations

import time

import pytest

from experiments.studio.history.acts import record_of
from experiments.studio.history.records import Rating

ACT = {"kind": "rating", "id": "0" * 16, "rater": "ann", "image": "a", "value": 4}


def test_an_act_becomes_a_record_of_this_moment() -> None:
    before = time.time()
    record = record_of({**ACT, "time": 3})
    assert record == Rating(rater="ann", id="0" * 16, image="a", value=4, time=record.time)
    assert before <= record.time <= time.time()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("act", "act: str; allowed: a mapping"),
        ([ACT], "act: list; allowed: a mapping"),
        ({**ACT, "image": "a" * 30_000}, "act: 300.. bytes; allowed: up to 20000"),
        ({**ACT, "image": "\ud800"}, "act: characters that are none"),
        ({**ACT, "id": "x"}, "id: 'x'; allowed: 16 to 64"),
        ({**ACT, "id": 3}, "rating.id: 3: "),
        ({name: value for name, value in ACT.items() if name != "id"}, "id: None; allowed: 16 to 64"),
        ({**ACT, "rater": " "}, "rater: ' '; allowed: a name"),
        ({**ACT, "rater": "a" * 41}, "allowed: a name of 1 to 40"),
        ({**ACT, "value": "4"}, "rating.value: '4'"),
        ({**ACT, "value": True}, "rating.value: True"),
        ({**ACT, "kind": ["rating"]}, "'kind': .* is unknown"),
    ],
)
def test_a_wrong_act_is_named_in_one_line(act: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        record_of(act)
    assert "\n" not in str(caught.value)
