"""What the model sees of settings: equal where their effect is equal."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.studio.agent.features import AgedReferences, features
from fabric.params import FabricParams

_share = st.floats(0, 1)
SETTINGS = st.builds(
    FabricParams,
    strength=st.floats(0.01, 8),
    start=st.floats(0, 0.4),
    end=st.floats(0.5, 1),
    floor=_share,
    neg_scale=st.floats(0, 2),
    bottleneck=st.floats(0, 2),
    recency=_share,
    crowding=_share,
    guidance_scale=st.floats(1, 20),
    weights=st.fixed_dictionaries({"a": _share, "b": _share, "c": _share}),
)
GIVEN = AgedReferences(liked=(("a", 0), ("b", 2)), disliked=(("c", 1),))
PARTS = ("a", "b", "c")


@given(SETTINGS)
def test_features_are_in_the_unit_interval(params: FabricParams) -> None:
    found = features([params], GIVEN, PARTS)
    assert found.shape == (1, 10)
    assert found.min() >= 0
    assert found.max() <= 1


@given(SETTINGS)
def test_a_reference_of_weight_zero_is_one_that_is_not_there(params: FabricParams) -> None:
    without = AgedReferences(liked=(("a", 0),), disliked=GIVEN.disliked)
    faded = replace(params, weights={**params.weights, "b": 0.0})
    assert torch.allclose(features([faded], GIVEN, PARTS), features([params], without, PARTS))


@given(SETTINGS, SETTINGS)
def test_without_strength_only_guidance_is_seen(one: FabricParams, other: FabricParams) -> None:
    none = [replace(params, strength=0.0, guidance_scale=4.0) for params in (one, other)]
    first, second = features(none, GIVEN, PARTS)
    assert torch.equal(first, second)
    assert features([replace(none[0], guidance_scale=8.0)], GIVEN, PARTS)[0].sub(first).count_nonzero() == 1


@given(SETTINGS)
def test_the_order_of_references_does_not_matter(params: FabricParams) -> None:
    turned = AgedReferences(liked=GIVEN.liked[::-1], disliked=GIVEN.disliked)
    assert torch.allclose(features([params], GIVEN, PARTS), features([params], turned, PARTS))


@given(SETTINGS)
def test_one_more_reference_leaves_earlier_features_alone(params: FabricParams) -> None:
    before, after = features([params], GIVEN, PARTS), features([params], GIVEN, (*PARTS, "new"))
    assert torch.equal(after[:, :-1], before)
    assert after[0, -1] == 0


def test_shares_are_those_of_the_attention() -> None:
    params = FabricParams(strength=0.8, neg_scale=0.5, start=0.0, end=1.0, weights={"b": 0.25})
    found = features([params], AgedReferences((("a", 0), ("b", 0)), (("c", 0),)), ())
    liked, disliked = 0.8 * 1.25, 0.8 * 0.5
    assert torch.allclose(found[0, :2], torch.tensor([liked / (1 + liked), disliked / (1 + disliked)]).double())
