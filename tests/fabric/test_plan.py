from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.plan import groups, needed, rows_of

A, B, C = (FeedbackImage(Image.new("RGB", (4, 4), colour), k) for k, colour in enumerate(("red", "green", "blue")))
CPU = torch.device("cpu")
SIZE = (8, 12)
HIDDEN = {image.id: {"layer": torch.zeros(1, 1)} for image in (A, B, C)}


def test_disliked_join_the_unconditional_and_liked_the_conditional_sample() -> None:
    params = FabricParams(strength=2, neg_scale=0.25, recency=0.5, weights={B.id: 0.1})
    unconditional, conditional = rows_of(params, [A, C], [B], 4, SIZE)
    assert conditional.images == (A, C)
    assert unconditional.images == (B,)
    # A is two rounds older than C, the newest of all images; B is one round older.
    torch.testing.assert_close(conditional.weights, torch.tensor([[2 * 0.25, 2.0]] * 4).double())
    torch.testing.assert_close(unconditional.weights, torch.tensor([[2 * 0.25 * 0.1 * 0.5]] * 4).double())


def test_of_the_same_picture_the_newer_counts() -> None:
    older, newer = replace(A, round=0), replace(A, round=2)
    _, conditional = rows_of(FabricParams(recency=0.5), [newer, older, C], [], 1, SIZE)
    assert sorted(image.round for image in conditional.images) == [2, 2]


def test_samples_with_the_same_active_references_are_together() -> None:
    late = FabricParams(start=0.5)
    rows = [
        *rows_of(FabricParams(), [A, B], [], 2, SIZE),
        *rows_of(late, [A], [B], 2, SIZE),
        *rows_of(FabricParams(strength=3, weights={C.id: 0}), [A, B, C], [], 2, SIZE),
    ]
    first = groups(rows, 0, HIDDEN, CPU)
    assert sorted(group.rows for group in first) == [[0, 2, 3, 4], [1, 5]]
    both = next(group for group in first if group.rows == [1, 5])
    assert both.weights.tolist() == [pytest.approx([0.8, 0.8]), pytest.approx([3, 3])]
    second = groups(rows, 1, HIDDEN, CPU)
    assert sorted(group.rows for group in second) == [[0, 4], [1, 5], [2], [3]]
    assert set(needed(rows, 0)) == {A.id, B.id}


def test_masks_are_fitted() -> None:
    masked = replace(A, mask=torch.ones(2, 2))
    rows = rows_of(FabricParams(), [masked, B], [], 1, SIZE)
    (found,) = [group for group in groups(rows, 0, HIDDEN, CPU) if group.references]
    assert found.masks[0] is not None
    assert found.masks[0].shape == (8, 12)
    assert found.masks[1] is None
