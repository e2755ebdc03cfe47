from __future__ import annotations

import math

import pytest

from experiments.embedded.gates.evaluate import show
from experiments.embedded.gates.result import Check, GateResult


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (Check("x", 0.9, 0.9), True),
        (Check("x", 0.89, 0.9), False),
        (Check("x", 1.1, 1.2, at_most=True), True),
        (Check("x", 1.3, 1.2, at_most=True), False),
        (Check("x", math.nan, 0.9), False),
    ],
)
def test_check(check: Check, passed: bool) -> None:
    assert check.passed is passed


def test_one_check_that_falls_short_fails_the_gate_and_is_shown() -> None:
    verdict = GateResult("Codec", [Check("dB", 31.0, 30.0), Check("colour", 0.5, 0.97)], {"extra": 2.0})
    assert not verdict.passed
    lines = show(1, verdict).splitlines()
    assert lines[0] == "Gate 1: Codec: FALLS SHORT"
    assert [line.split()[0] for line in lines[1:3]] == ["ok", "--"]
    assert "0.500" in lines[2]
    assert "at least 0.97" in lines[2]
    assert "extra" in lines[3]
