from __future__ import annotations

import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from optimizer.encoding import Encoding
from optimizer.observations import Observations
from optimizer.recommendation import FittedModel, fit_model
from optimizer.sensitivity import importance, slices

SPACE: dict[str, BaseDistribution] = {
    "choice": CategoricalDistribution(["a", "b", "c"]),
    "x": FloatDistribution(0.0, 10.0),
    "only": IntDistribution(3, 3),
    "k": IntDistribution(1, 4),
    "idle": FloatDistribution(1e-3, 1.0, log=True),
}
ENCODING = Encoding(SPACE)
LEVEL = {"a": 0.0, "b": 1.0, "c": 2.0}


def _value(params: dict[str, object]) -> float:
    """Of x, from 0 to 10, and k, from 1 to 4, a product of their shares; a choice adds its level."""
    x, k = params["x"], params["k"]
    assert isinstance(x, float)
    assert isinstance(k, int)
    return LEVEL[str(params["choice"])] + x / 10 + 4 * (x / 10 - 0.5) * ((k - 1) / 3 - 0.5)


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(150, ENCODING.dimensions, generator=generator, dtype=torch.float64)
    settings = [ENCODING.decode(point) for point in points]
    X = torch.stack([point for params in settings if (point := ENCODING.encode(params)) is not None])
    Y = torch.tensor([[_value(params)] for params in settings], dtype=torch.float64)
    return fit_model(Observations(X, Y, torch.full_like(Y, 1e-6), list(range(150))))


def test_importance_is_the_total_sobol_index(fitted: FittedModel) -> None:
    found = importance(fitted, ENCODING)
    # Variances: of the choice 2/3, of x alone 1/12, of x and k together 16/144. The values of k are at 1/8 to 7/8 of
    # the cube, over all of which the model goes, so that its k varies 16/9 times as much.
    together = 16 / 144 * 16 / 9
    total = 2 / 3 + 1 / 12 + together
    assert set(found) == {"choice", "x", "k", "idle"}
    assert found["choice"] == pytest.approx(2 / 3 / total, abs=0.05)
    assert found["x"] == pytest.approx((1 / 12 + together) / total, abs=0.05)
    assert found["k"] == pytest.approx(together / total, abs=0.05)
    assert found["idle"] < 0.01
    assert importance(fitted, ENCODING) == found


def test_slices_are_in_units_of_the_parameters(fitted: FittedModel) -> None:
    found = {each.name: each for each in slices(fitted, ENCODING, count=11)}
    assert set(found) == {"choice", "x", "k", "idle"}
    best = ENCODING.decode(fitted.point)
    assert found["choice"].values == ["a", "b", "c"]
    assert found["k"].values == [1, 2, 3, 4]
    assert found["x"].values == pytest.approx(list(range(11)))
    assert found["idle"].values[0] == pytest.approx(1e-3)
    for name, each in found.items():
        assert len(each.values) == len(each.means) == len(each.errors)
        for value, mean, error in zip(each.values, each.means, each.errors, strict=True):
            truth = _value({**best, name: value})
            assert mean == pytest.approx(truth, abs=0.15)
            assert 0 < error < 0.2
