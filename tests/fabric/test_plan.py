from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.plan import AttentionPlan, rows_of
from fabric.processor import Layer, ShownReferences

COLOURS = ("red", "green", "blue")
A, B, C = (FeedbackImage(Image.new("RGB", (4, 4), colour), k) for k, colour in enumerate(COLOURS))
FIRST = [replace(image, round=0) for image in (A, B, C)]
LAYER = Layer("layer", 0.0, outermost=False)
HIDDEN = {image.id: {"layer": torch.zeros(1, 1)} for image in (A, B, C)}


def _plan(rows: list[object]) -> AttentionPlan:
    return AttentionPlan(rows, torch.device("cpu"), lambda image: image.fitted_mask(1, 1))  # type: ignore[arg-type]


def test_disliked_join_the_unconditional_and_liked_the_conditional_sample() -> None:
    params = FabricParams(strength=2, neg_scale=0.25, recency=0.5, weights={B.id: 0.1})
    unconditional, conditional, single = rows_of(params, [A, C], [B], 4, 3)
    assert conditional.references.images == (A, C)
    assert unconditional.references.images == (B,)
    # In round 3, C is of the round before, B one and A two rounds older.
    torch.testing.assert_close(conditional.references.weights, torch.tensor([[2 * 0.25, 2.0]] * 4).double())
    torch.testing.assert_close(unconditional.references.weights, torch.tensor([[2 * 0.25 * 0.1 * 0.5]] * 4).double())
    assert conditional.opposed.images == unconditional.opposed.images == ()
    assert (single.references, single.opposed) == (conditional.references, unconditional.references)


def test_timing_takes_weight_away_from_the_other_end() -> None:
    """Written plainly: step i of 4 is at (i + 1/2) / 4, early is 1 - t, late t; half of it is half way from 1."""
    params = FabricParams(strength=2, neg_scale=1, timing={A.id: -1, B.id: 1, C.id: 0.5})
    unconditional, conditional, _ = rows_of(params, [A, C], [B], 4, 3)
    moments = [0.125, 0.375, 0.625, 0.875]
    expected = [[2 * (1 - t), 2 * (0.5 + 0.5 * t)] for t in moments]
    torch.testing.assert_close(conditional.references.weights, torch.tensor(expected).double())
    torch.testing.assert_close(unconditional.references.weights, torch.tensor([[2 * t] for t in moments]).double())


_ROUNDS = st.integers(0, 4)


@given(_ROUNDS, _ROUNDS, _ROUNDS, st.floats(0, 1), st.booleans())
def test_an_image_of_weight_zero_changes_no_other_weight(
    first: int, second: int, added: int, recency: float, liked: bool
) -> None:
    one, two, absent = (replace(image, round=k) for image, k in ((A, first), (B, second), (C, added)))
    params = FabricParams(recency=recency, neg_scale=0.7, weights={C.id: 0})
    before = rows_of(params, [one], [two], 2, 5)
    after = rows_of(params, *(([one, absent], [two]) if liked else ([one], [two, absent])), 2, 5)
    for row, grown in zip(before, after, strict=True):
        for side, its in ((row.references, grown.references), (row.opposed, grown.opposed)):
            kept = [k for k, image in enumerate(its.images) if image.id != C.id]
            assert torch.equal(its.weights[:, kept], side.weights)


def test_of_the_same_picture_the_newer_counts() -> None:
    older, newer = replace(A, round=0), replace(A, round=2)
    _, conditional, _ = rows_of(FabricParams(recency=0.5), [newer, older, C], [], 1, 3)
    assert sorted(image.round for image in conditional.references.images) == [2, 2]


def test_images_of_the_round_itself_are_refused() -> None:
    rows_of(FabricParams(), FIRST, [], 1)  # given from the start
    with pytest.raises(ValueError, match="round: an image judged in round 2 cannot steer round 2; allowed: of earlier"):
        rows_of(FabricParams(), [C], [], 1, 2)


def test_samples_with_the_same_active_references_are_together() -> None:
    late = FabricParams(start=0.5)
    a, b, c = FIRST
    rows = [
        *rows_of(FabricParams(), [a, b], [], 2)[:2],
        *rows_of(late, [a], [b], 2)[:2],
        *rows_of(FabricParams(strength=3, weights={C.id: 0}), [a, b, c], [], 2)[:2],
    ]
    plan = _plan(list(rows))
    assert [group.rows for group in plan.groups(0)] == [[1, 5]]
    (group,) = plan.shown(0, HIDDEN, LAYER).groups
    assert group.references is not None
    torch.testing.assert_close(group.references.log_weight.exp(), torch.tensor([[[0.8, 3], [0.8, 3]]]))
    assert set(plan.images(0)) == {A.id, B.id}
    # Afterwards also: the unconditional sample of B and the conditional one of A, which are sets of equal size.
    assert [group.rows for group in plan.groups(1)] == [[1, 5], [2, 3]]
    assert [group.names for group in plan.groups(1)] == [[[A.id, B.id]] * 2, [[B.id], [A.id]]]


def test_groups_of_other_sizes_are_apart_and_each_has_its_weights() -> None:
    a, b, c = FIRST
    rows = [rows_of(FabricParams(strength=k + 1), liked, [], 1)[1] for k, liked in enumerate(([a], [a, b], [c], [c]))]
    plan = _plan(list(rows))
    assert [group.rows for group in plan.groups(0)] == [[0], [1], [2, 3]]
    hidden, groups = plan.shown(
        0, {image.id: {"layer": torch.full((1, 1), float(k))} for k, image in enumerate(FIRST)}, LAYER
    )
    for group, seen, weights in zip(groups, ([0], [0, 1], [2]), ([[1]], [[2], [2]], [[3, 4]]), strict=True):
        assert group.references is not None
        assert torch.stack(hidden)[group.references.places].flatten().tolist() == seen
        torch.testing.assert_close(group.references.log_weight.exp(), torch.tensor([weights]).float())


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        (Layer("layer", 0.0, outermost=False), 1.0),
        (Layer("layer", 0.5, outermost=False), 0.6),
        (Layer("layer", 1.0, outermost=False), 0.2),
        (Layer("layer", 0.5, outermost=True), 0.6 * 0.3),
    ],
)
def test_weights_change_with_depth_and_in_the_outermost_layers(layer: Layer, factor: float) -> None:
    rows = rows_of(FabricParams(strength=2, bottleneck=0.2, outer=0.3), FIRST[:1], [], 1)[1:2]
    (group,) = _plan(list(rows)).shown(0, HIDDEN, layer).groups
    assert group.references is not None
    assert group.references.log_weight.exp().flatten().tolist() == pytest.approx([2 * factor])


def test_outermost_layers_that_see_nothing_need_no_hidden_states() -> None:
    rows = rows_of(FabricParams(outer=0), FIRST[:1], [], 1)[1:2]
    assert _plan(list(rows)).shown(0, {A.id: {}}, Layer("layer", 0.0, outermost=True)) == ShownReferences()


def test_weights_too_small_to_show_cost_nothing() -> None:
    plan = _plan(list(rows_of(FabricParams(strength=1e-7), FIRST, [], 2)))
    assert plan.images(0) == {}
    assert plan.shown(0, {}, LAYER) == ShownReferences()


def test_outermost_layers_are_needed_only_where_somebody_sees_them() -> None:
    for outer, expected in ((0.0, False), (0.3, True)):
        rows = rows_of(FabricParams(outer=outer, end=0.5), FIRST, [], 2)
        assert _plan(list(rows)).with_outer(0) == expected
        assert not _plan(list(rows)).with_outer(1)


def test_masks_are_fitted_and_equal_ones_are_one() -> None:
    masked, again = (replace(FIRST[0], mask=torch.ones(2, 2)) for _ in range(2))
    rows = [row for image in (masked, again) for row in rows_of(FabricParams(), [image, FIRST[1]], [], 1)[:2]]
    (group,) = _plan(rows).groups(0)  # type: ignore[arg-type]
    assert group.rows == [1, 3]
    references = group.in_layer(0, 1, LAYER).references
    assert references is not None
    assert references.token_bias is not None
    assert references.token_bias.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("masking", [0.0, 0.25, 1.0])
def test_masking_is_how_far_a_mask_counts(masking: float) -> None:
    mask = torch.tensor([[0.0, 1.0], [0.5, 0.2]])
    images = [replace(FIRST[0], mask=mask), FIRST[1]]
    params = FabricParams(masking=masking)
    for row in (rows_of(params, images, [], 1)[1], rows_of(params, [], images, 1)[0]):
        masked, whole = row.references.images
        assert whole is FIRST[1]
        if masking == 0:
            assert masked == FIRST[0]
        else:
            assert masked.mask is not None
            torch.testing.assert_close(masked.mask, 1 - masking + masking * mask)


def test_without_masks_there_is_no_bias() -> None:
    (group,) = _plan(list(rows_of(FabricParams(), FIRST, [], 1)[1:2])).shown(0, HIDDEN, LAYER).groups
    assert group.references is not None
    assert group.references.token_bias is None
