from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.parts import RangeConfig
from experiments.run.space import Space, absent
from fabric.params import PRESETS, FabricParams, preset

SOUGHT = {
    "strength": RangeConfig(low=0.05, high=8, log=True),
    "start": RangeConfig(low=0, high=1),
    "end": RangeConfig(low=0, high=1),
    "guidance_scale": RangeConfig(low=1.5, high=8),
    "weights": RangeConfig(low=0, high=1),
}
SPACE = Space(SOUGHT, FabricParams(floor=0.25), ("a", "b"))
unit = st.floats(0, 1)


@given(unit, unit, st.floats(0.05, 8), st.floats(1.5, 8))
def test_every_point_is_a_setting(share: float, end: float, strength: float, guidance: float) -> None:
    values = {"strength": strength, "start/end": share, "end": end, "guidance_scale": guidance, "weight a": 0.5}
    params = SPACE.params(values)
    assert params.start == pytest.approx(share * end)
    assert (params.floor, params.strength, params.weights) == (0.25, strength, {"a": 0.5, "b": 0.0})
    if end > 1e-6:
        assert SPACE.values(params) == pytest.approx({**values, "weight b": 0.0})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_where_all_of_them_is_sought(name: str) -> None:
    bounds = {field: RangeConfig(low=low, high=high) for field, (low, high) in FabricParams.bounds().items()}
    space = Space(bounds, FabricParams())
    assert space.params(space.values(preset(name, 20))) == preset(name, 20)


def test_distributions_are_the_ranges() -> None:
    assert set(SPACE.distributions) == {"strength", "start/end", "end", "guidance_scale", "weight a", "weight b"}
    assert set(Space({"start": SOUGHT["start"]}, FabricParams(), ("a",)).distributions) == {"start"}
    assert SPACE.values(FabricParams(strength=0, guidance_scale=20))["strength"] == 0.05


def test_an_image_that_was_not_there_had_no_weight() -> None:
    assert (absent("weight a"), absent("timing a"), absent("strength")) == (0.0, 0.0, None)


def test_timing_is_sought_for_each_image_and_survives() -> None:
    space = Space({**SOUGHT, "timing": RangeConfig(low=-1, high=1)}, FabricParams(), ("a", "b"))
    assert {name for name in space.distributions if name.startswith("timing")} == {"timing a", "timing b"}
    params = FabricParams(timing={"a": -0.25, "b": 1.0}, weights={"a": 0.5, "b": 1.0})
    assert space.params(space.values(params)) == params
    assert space.params(space.values(FabricParams())).timing == {"a": 0.0, "b": 0.0}
