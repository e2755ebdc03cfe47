from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fabric.weighting import attention_shares, thin, window_weight

_WEIGHTS = st.lists(st.floats(1e-6, 8), min_size=1, max_size=6).map(lambda w: torch.tensor(w, dtype=torch.float64))


@given(_WEIGHTS)
def test_shares_are_those_of_softmax_attention_to_keys_that_fit_alike(weights: torch.Tensor) -> None:
    logits = torch.cat([torch.zeros(1, dtype=torch.float64), weights.log()])  # the image's own key first
    torch.testing.assert_close(attention_shares(weights), logits.softmax(dim=0)[1:])


@given(_WEIGHTS, st.floats(0, 1))
def test_thinning_leaves_few_alone_and_makes_many_share_one_weight(weights: torch.Tensor, crowding: float) -> None:
    few = weights / weights.sum() / 2
    torch.testing.assert_close(thin(few, crowding), few)
    torch.testing.assert_close(thin(weights, 0.0), weights)
    assert float(thin(weights, 1.0).sum()) <= 1 + 1e-9
    batch = thin(weights.expand(3, -1), torch.full((3,), crowding, dtype=torch.float64))
    torch.testing.assert_close(batch, thin(weights, crowding).expand(3, -1))


def test_the_window_blends_strength_with_the_floor() -> None:
    strength, floor, covered = (torch.tensor(value, dtype=torch.float64) for value in (0.8, 0.25, 0.5))
    assert float(window_weight(strength, floor, covered)) == 0.8 * 0.625
