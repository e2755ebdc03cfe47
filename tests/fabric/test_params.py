from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fabric.params import PRESETS, FabricParams, image_weights, preset, step_weights
from fabric.weighting import depth_weight

_UNIT = st.floats(0, 1)


@st.composite
def _params(draw: st.DrawFn) -> FabricParams:
    knobs = {name: draw(st.floats(low, high)) for name, (low, high) in FabricParams.bounds().items()}
    knobs["start"], knobs["end"] = sorted((knobs["start"], knobs["end"]))
    weights, timing = (
        draw(st.dictionaries(st.text(max_size=8), values, max_size=3)) for values in (_UNIT, st.floats(-1, 1))
    )
    return FabricParams(**knobs, weights=weights, timing=timing)


@given(_params())
def test_dict_and_yaml_lose_nothing(params: FabricParams) -> None:
    assert FabricParams.from_dict(params.to_dict()) == params
    assert FabricParams.from_yaml(params.to_yaml()) == params


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": 9}, r"strength: 9 is out of range; allowed: 0 to 8"),
        ({"strength": float("nan")}, r"strength: nan is out of range; allowed: 0 to 8"),
        ({"guidance_scale": 0.5}, r"guidance_scale: 0.5 is out of range; allowed: 1 to 20"),
        ({"floor": "high"}, r"floor: 'high' is not a number from 0 to 1"),
        ({"floor": True}, r"floor: True is not a number from 0 to 1"),
        ({"start": 0.8, "end": 0.2}, r"start: 0.8 is above end \(0.2\)"),
        ({"weights": {"cat": 2}}, r"weights\[cat\]: 2 is out of range; allowed: 0 to 1"),
        ({"weights": [0.5]}, r"weights: \[0.5\] is not a mapping"),
        ({"strenght": 1}, r"strenght: unknown parameter; allowed: strength, floor"),
    ],
)
def test_bad_values_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        FabricParams.from_dict(values)


@pytest.mark.parametrize("text", ["- 1", "strength: [", "7"])
def test_yaml_that_is_no_mapping_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^parameters: ") as caught:
        FabricParams.from_yaml(text)
    assert "\n" not in str(caught.value)


@given(_params(), st.integers(1, 60))
def test_window_covers_its_share_of_the_steps(params: FabricParams, steps: int) -> None:
    weights = step_weights(params, steps)
    inside = params.end - params.start
    mean = params.strength * (params.floor + (1 - params.floor) * inside)
    assert weights.shape == (steps,)
    assert float(weights.mean()) == pytest.approx(mean, abs=1e-9)
    assert (weights <= params.strength + 1e-9).all()
    assert (weights >= params.strength * params.floor - 1e-9).all()


def _authors(steps: int, fractions: tuple[float, float], high: float, low: float) -> list[float]:
    """The official generator's schedule, written out: both ends of the window count."""
    first, last = (round(fraction * steps) for fraction in fractions)
    return [high if first <= i <= last else low for i in range(steps)]


@pytest.mark.parametrize("steps", [1, 5, 12, 20, 50])
def test_presets_are_active_at_the_steps_of_the_authors(steps: int) -> None:
    expected = {
        "official": _authors(steps, (0.33, 0.66), 1.0, 0.1),
        "paper-preference": [0.1] * steps,
        "paper-target": [0.8] * steps,
        "repo-eval": _authors(steps, (0.0, 0.8), 0.3, 0.0),
        "none": [0.0] * steps,
    }
    assert set(expected) == set(PRESETS)
    for name, weights in expected.items():
        torch.testing.assert_close(step_weights(preset(name, steps), steps), torch.tensor(weights).double())
    if steps == 20:
        assert sum(w > 0 for w in expected["repo-eval"]) == 17


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ValueError, match=r"^preset: 'best' is unknown; allowed: official, "):
        preset("best", 20)


@given(_params(), st.lists(st.integers(0, 9), max_size=6))
def test_image_weights_follow_their_formula(params: FabricParams, ages: list[int]) -> None:
    ids = [*params.weights, "a", "b", "c", "d", "e", "f"][: len(ages)]
    raw = [params.weights.get(name, 1.0) * params.recency**age for name, age in zip(ids, ages, strict=True)]
    expected = [w / max(1.0, sum(raw)) ** params.crowding for w in raw]
    assert image_weights(params, ids, ages).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_crowding_and_recency_at_their_ends() -> None:
    ids, ages = ["a", "b", "c"], [0, 1, 1]
    assert image_weights(FabricParams(), ids, ages).tolist() == [1, 1, 1]
    assert float(image_weights(FabricParams(crowding=1), ids, ages).sum()) == pytest.approx(1)
    assert image_weights(FabricParams(recency=0), ids, ages).tolist() == [1, 0, 0]
    assert image_weights(FabricParams(weights={"b": 0.25}), ids, ages).tolist() == [1, 0.25, 1]


@given(_params())
def test_depth_runs_from_one_to_the_bottleneck(params: FabricParams) -> None:
    bottleneck = torch.tensor(params.bottleneck, dtype=torch.float64)
    assert float(depth_weight(bottleneck, 0.0)) == 1
    assert float(depth_weight(bottleneck, 1.0)) == pytest.approx(params.bottleneck)
    assert float(depth_weight(bottleneck, 0.5)) == pytest.approx((1 + params.bottleneck) / 2)
