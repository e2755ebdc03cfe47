from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from optimizer.encoding import Encoding, in_range

SPACE: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-3.0, 5.0),
    "log": FloatDistribution(1e-5, 10.0, log=True),
    "step": FloatDistribution(-1.0, 2.0, step=0.1),
    "int": IntDistribution(-7, 20, step=3),
    "int log": IntDistribution(1, 1000, log=True),
    "choice": CategoricalDistribution(["a", None, 3]),
    "only": IntDistribution(4, 4),
}
ENCODING = Encoding(SPACE)
VALUES = st.fixed_dictionaries(
    {
        "float": st.floats(-3.0, 5.0),
        "log": st.floats(1e-5, 10.0),
        "step": st.integers(0, 30).map(lambda k: -1.0 + 0.1 * k),
        "int": st.integers(0, 9).map(lambda k: -7 + 3 * k),
        "int log": st.integers(1, 1000),
        "choice": st.sampled_from(["a", None, 3]),
        "only": st.just(4),
    }
)
POINTS = st.lists(st.floats(0, 1), min_size=ENCODING.dimensions, max_size=ENCODING.dimensions)


@given(VALUES)
def test_settings_come_back(params: dict[str, object]) -> None:
    point = ENCODING.encode(params)
    assert point is not None
    assert 0 <= float(point.min()) <= float(point.max()) <= 1
    found = ENCODING.decode(point)
    assert {name: found[name] for name in ("int", "int log", "choice", "only")} == {
        name: params[name] for name in ("int", "int log", "choice", "only")
    }
    for name in ("float", "log", "step"):
        assert found[name] == pytest.approx(params[name], rel=1e-9, abs=1e-12)


@given(POINTS)
def test_every_point_is_a_setting_in_range_and_stays_one(shares: list[float]) -> None:
    found = ENCODING.decode(torch.tensor(shares, dtype=torch.float64))
    assert all(in_range(SPACE[name], value) for name, value in found.items())
    assert {type(found[name]) for name in ("int", "int log")} == {int}
    assert {type(found[name]) for name in ("float", "log", "step")} == {float}
    again = ENCODING.encode(found)
    assert again is not None
    numbers, rounded = ({**each, "choice": 0} for each in (found, ENCODING.decode(again)))
    assert rounded == pytest.approx(numbers, rel=1e-9, abs=1e-12)


def test_columns_are_found_by_name() -> None:
    assert ENCODING.dimensions == 8
    assert ENCODING.columns["choice"] == slice(5, 8)
    point = ENCODING.encode({"float": -3, "log": 1e-2, "step": 2.0, "int": -7, "int log": 10, "choice": 3, "only": 4})
    assert point is not None
    log_int = math.log(20) / math.log(2001)
    expected = [0.0, 0.5, 61 / 62, 0.05, log_int, 0, 0, 1]
    torch.testing.assert_close(point, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["step", "int"])
def test_values_of_a_stepped_range_have_equal_shares(name: str) -> None:
    encoding = Encoding({name: SPACE[name]})
    grid = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    found = [encoding.decode(point[None])[name] for point in grid]
    counts = [found.count(value) for value in sorted(set(found), key=str)]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("float", 5.1),
        ("float", float("nan")),
        ("float", "many"),
        ("log", 0.0),
        ("step", 0.55),
        ("int", -6),
        ("int log", 0),
        ("choice", "b"),
        ("only", 5),
    ],
)
def test_what_is_out_of_range_is_no_point(name: str, value: object) -> None:
    assert Encoding({name: SPACE[name]}).encode({name: value}) is None


def test_what_is_lacking_is_what_it_was() -> None:
    space = {"float": SPACE["float"], "choice": SPACE["choice"]}
    assert Encoding(space).encode({"float": 1.0}) is None
    assert Encoding(space, lambda name: 3.0 if name == "choice" else None).encode({"float": 1.0}) is not None
    assert Encoding({"choice": SPACE["choice"]}).encode({"choice": None}) is not None
