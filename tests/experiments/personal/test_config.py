from __future__ import annotations

from typing import Any

import pytest

from experiments.config.errors import checked
from experiments.personal.config import PersonalConfig

GIVEN = {"references": ["likes"], "prompts": ["a red star"], "validation": ["a blue ring"]}


def test_defaults_follow_the_method_and_what_is_trained() -> None:
    lora, whole = checked(PersonalConfig, GIVEN), checked(PersonalConfig, {**GIVEN, "rank": 0, "method": "dpo"})
    assert (lora.rate, lora.preference, lora.scale) == (1e-4, 1.0, 4.0)
    assert (whole.rate, whole.preference) == (5e-6, 2500.0)
    assert checked(PersonalConfig, {"scenes": {"board": 3}}).scenes is not None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "references: none; allowed: one or more, or scenes with a board"),
        ({**GIVEN, "validation": []}, "validation: none"),
        ({**GIVEN, "validation": ["a red star"]}, "validation: 'a red star' is among the prompts"),
        ({**GIVEN, "scenes": {"board": 1}}, "scenes: given with references or prompts"),
        ({"scenes": {}}, "scenes: without a board"),
        ({**GIVEN, "rank": -1}, "rank: -1"),
        ({**GIVEN, "method": "ppo"}, "method: 'ppo' is unknown; allowed: 'rpo', 'dpo' or 'similarity'"),
        ({**GIVEN, "stepz": 3}, "stepz: unknown key"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        checked(PersonalConfig, values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
