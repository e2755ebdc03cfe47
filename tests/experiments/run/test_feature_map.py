from __future__ import annotations

import pytest
import torch
from torch import Tensor

from experiments.config.parts import RangeConfig
from experiments.run.feature_map import FabricFeatureMap
from experiments.run.space import Space, absent
from fabric.params import FabricParams, image_weights, step_weights, timing_weights
from optimizer.encoding import Encoding
from optimizer.gp import build_gp, fit_gp

SOUGHT = {
    "strength": RangeConfig(low=0.1, high=4, log=True),
    "neg_scale": RangeConfig(low=0, high=2),
    "start": RangeConfig(low=0, high=1),
    "end": RangeConfig(low=0, high=1),
    "bottleneck": RangeConfig(low=0, high=2),
    "crowding": RangeConfig(low=0, high=1),
    "guidance_scale": RangeConfig(low=1.5, high=8),
    "weights": RangeConfig(low=0, high=1),
}


def _encoding(images: int = 4, *, own: bool = False) -> tuple[Space, Encoding]:
    names = tuple("abcd"[:images])
    space = Space(SOUGHT, FabricParams(floor=0.2), names)
    feature_map = FabricFeatureMap(space, names[::2], names[1::2], own)
    return space, Encoding(space.distributions, absent, feature_map)


def _points(encoding: Encoding, count: int = 20) -> Tensor:
    return torch.rand(count, encoding.dimensions, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_shares_are_those_of_the_attention_averaged_over_the_window() -> None:
    space, encoding = _encoding()
    points = _points(encoding)
    found = encoding.features(points)
    for point, row in zip(points, found, strict=True):
        params = space.params(encoding.decode(point))
        effect = float(step_weights(params, 1000).mean())
        liked = effect * image_weights(params, ["a", "c"], [0, 0])
        disliked = effect * params.neg_scale * image_weights(params, ["b", "d"], [0, 0])
        expected = torch.cat([liked / (1 + liked.sum()), disliked / (1 + disliked.sum())])
        assert row[:4].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_timing_counts_as_its_mean_over_the_window_and_only_where_there_is_a_share() -> None:
    space = Space({**SOUGHT, "timing": RangeConfig(low=-1, high=1)}, FabricParams(), tuple("abcd"))
    encoding = Encoding(space.distributions, absent, FabricFeatureMap(space, ("a", "c"), ("b", "d"), False))
    points = _points(encoding)
    for point, row in zip(points, encoding.features(points), strict=True):
        params, steps = space.params(encoding.decode(point)), 1000
        of_steps = step_weights(params, steps)[:, None] * timing_weights(params, ["a", "c"], steps)
        liked = of_steps.mean(0) * image_weights(params, ["a", "c"], [0, 0])
        assert row[:2].tolist() == pytest.approx((liked / (1 + liked.sum())).tolist(), abs=1e-4)
    points[:, encoding.columns["weight c"]] = 0
    other = points.clone()
    other[:, encoding.columns["timing c"]] = 1 - points[:, encoding.columns["timing c"]]
    assert torch.equal(encoding.features(points), encoding.features(other))
    other[:, encoding.columns["timing a"]] = 1 - points[:, encoding.columns["timing a"]]
    assert not torch.equal(encoding.features(points), encoding.features(other))


def test_what_has_no_effect_looks_the_same() -> None:
    _, encoding = _encoding()
    points = _points(encoding)
    for name, columns in encoding.columns.items():
        if name.startswith("weight "):
            points[:, columns] = 0
    found = encoding.features(points)
    assert (found[:, :-1] == 0).all()  # all but guidance, which matters without references too
    assert found[:, -1].tolist() == points[:, encoding.columns["guidance_scale"].start].tolist()


def test_features_are_in_the_unit_cube_and_smooth() -> None:
    for own in (False, True):
        _, encoding = _encoding(own=own)
        points = _points(encoding, 200).requires_grad_()
        found = encoding.features(points)
        assert ((found >= 0) & (found <= 1)).all()
        found.sum().backward()
        assert points.grad is not None
        assert torch.isfinite(points.grad).all()


def test_an_image_that_nobody_used_changes_nothing_at_equal_hyperparameters() -> None:
    _, small = _encoding(2)
    _, large = _encoding(4)
    X, Y = _points(small), torch.rand(20, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    grown = torch.stack(
        [p for x in X if (p := large.encode({**small.decode(x), "weight c": 0.0, "weight d": 0.0})) is not None]
    )
    posteriors = []
    for points, encoding in ((X, small), (grown, large)):
        model = build_gp(points, Y, torch.full_like(Y, 0.01), encoding.features).eval()
        model.covar_module.base_kernel.common = torch.tensor(0.7)
        posteriors.append(model.posterior(points))
    assert torch.allclose(posteriors[0].mean, posteriors[1].mean)
    assert torch.allclose(posteriors[0].variance, posteriors[1].variance)


def test_a_model_with_the_view_knows_more_of_what_it_has_not_seen() -> None:
    """One image helps, one misleads, and without effect nothing matters."""
    space, encoding = _encoding(4)

    def value(params: FabricParams) -> float:
        effect = float(step_weights(params, 100).mean())
        good, bad, *_ = (effect * image_weights(params, ["a", "c"], [0, 0])).tolist()
        return (good - 2 * bad) / (1 + good + bad)

    points = _points(encoding, 240)
    Y = torch.tensor([[value(space.params(encoding.decode(point)))] for point in points], dtype=torch.float64)
    seen, Yvar = slice(0, 24), torch.full((24, 1), 1e-3, dtype=torch.float64)
    errors = []
    for features in (encoding.features, None):
        model = fit_gp(points[seen], Y[seen], Yvar, features)
        with torch.no_grad():
            errors.append(float((model.posterior(points[24:]).mean - Y[24:]).square().mean().sqrt()))
    assert errors[0] < 0.5 * errors[1]
