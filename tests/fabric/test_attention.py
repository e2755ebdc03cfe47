"""Attention to several sources against equation 2 of the paper, written plainly."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fabric.attention import Partial, ReferenceTokens, attend_own, attend_references, merge, push_away

X, G, H, L, D, R = 2, 3, 2, 6, 4, 2
N = X * G
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Query, key and value of samples, keys and values of references."""


def _random(*shape: int, key: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64).to(dtype)


def _inputs(dtype: torch.dtype = torch.float64) -> Inputs:
    query, key, value = (_random(N, L, H, D, key=k, dtype=dtype) for k in range(3))
    keys, values = (_random(X * R, L, H, D, key=k, dtype=dtype) for k in (10, 20))
    return query, key, value, keys, values


def _plain(query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Softmax over all tokens, probabilities times weights (X x R x G x L), renormalised; a loop over samples."""
    count = weights.shape[1]
    rows = []
    for n in range(N):
        its = slice(n // G * count, n // G * count + count)
        all_keys, all_values = torch.cat([key[n], *keys[its]]), torch.cat([value[n], *values[its]])
        weight = torch.cat([torch.ones(L), weights[n // G, :, n % G].flatten()])
        p = torch.softmax(torch.einsum("qhd,khd->hqk", query[n], all_keys) / D**0.5, dim=-1) * weight
        rows.append(torch.einsum("hqk,khd->qhd", p / p.sum(-1, keepdim=True), all_values))
    return torch.stack(rows)


def _parts(inputs: Inputs, weights: Tensor, bias: Tensor | None = None) -> tuple[Partial, Partial]:
    query, key, value, keys, values = inputs
    references = ReferenceTokens(keys, values, weights.log(), bias)
    return attend_own(query, key, value), attend_references(query, references)


def _first(inputs: Inputs, copies: int = 1) -> Inputs:
    """With the first reference of each set alone, so many times."""
    query, key, value, *references = inputs
    keys, values = (x[::R].repeat_interleave(copies, dim=0) for x in references)
    return query, key, value, keys, values


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_equals_softmax_times_weights_renormalised(scale: float) -> None:
    inputs, weights = _inputs(), scale * _random(X, R, G, key=3).abs()
    own, references = _parts(inputs, weights)
    out, shares = merge(own, references)
    torch.testing.assert_close(out, _plain(*inputs, weights[..., None].expand(-1, -1, -1, L)))
    lse = own.lse.view(X, G, L, H)
    of_own = (lse - torch.cat([lse[:, None], references.lse], dim=1).logsumexp(dim=1)).exp()
    torch.testing.assert_close(of_own + shares.sum(dim=1), torch.ones(X, G, L, H, dtype=torch.float64))


def test_shares_are_the_probabilities_that_references_receive() -> None:
    query, key, value, keys, values = _inputs()
    weights = torch.tensor([0.7, 0.0], dtype=torch.float64)[None, :, None].expand(X, R, G)
    _, shares = merge(*_parts((query, key, value, keys, values), weights))
    n = G + 1  # the second sample of the second set, whose first reference is the third
    p = torch.softmax(torch.einsum("qhd,khd->qhk", query[n], torch.cat([key[n], keys[R]])) / D**0.5, dim=-1)
    own, its = p[..., :L].sum(-1), 0.7 * p[..., L:].sum(-1)
    torch.testing.assert_close(shares[1, 0, 1], its / (own + its))
    assert shares[:, 1].abs().max() == 0


def test_a_token_bias_weighs_single_tokens() -> None:
    inputs, weights = _inputs(), _random(X, R, G, key=3).abs()
    tokens = torch.tensor([0.0, 0.25, 1.0, 0.5, 0.0, 0.75], dtype=torch.float64).expand(X * R, L).clone()
    tokens[0] = 1
    out, _ = merge(*_parts(inputs, weights, tokens.log().clamp(min=-1e4)))
    torch.testing.assert_close(out, _plain(*inputs, weights[..., None] * tokens.view(X, R, 1, L)))


@settings(max_examples=20)
@given(st.floats(1e-3, 8), st.floats(0.01, 0.99))
def test_two_parts_of_a_weight_equal_the_whole(weight: float, share: float) -> None:
    inputs = _inputs()
    whole = _parts(_first(inputs), torch.full((X, 1, G), weight, dtype=torch.float64))
    both = torch.tensor([weight * share, weight * (1 - share)], dtype=torch.float64)[None, :, None].expand(X, 2, G)
    parts = _parts(_first(inputs, 2), both)
    torch.testing.assert_close(merge(*parts)[0], merge(*whole)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weight_zero_with_dominant_logits_in_half_precision(dtype: torch.dtype) -> None:
    query, key, value, keys, values = _inputs(dtype)
    own, absent = _parts((query, key, value, 1000 * keys, values), torch.zeros(X, R, G))
    assert torch.isfinite(merge(own, absent)[0]).all()
    assert torch.equal(merge(own, absent)[0], own.out)


def test_what_is_pushed_away_at_weight_zero_is_absent_and_the_norm_is_bounded() -> None:
    query, key, value, keys, values = _inputs()
    own, absent = _parts((query, key, value, keys, values), torch.zeros(X, R, G, dtype=torch.float64))
    assert torch.equal(push_away(own.out, own, absent), own.out)
    _, strong = _parts((query, key, value, keys, 100 * values), torch.full((X, R, G), 8.0).double())
    turned = push_away(own.out, own, strong)
    assert (turned.abs().sum(-1) <= 2.5 * own.out.abs().sum(-1) + 1e-9).all()
    assert (turned - own.out).abs().max() > 0.1


def test_pushed_away_means_less_of_it() -> None:
    own, opposed = _parts(_first(_inputs()), torch.full((X, 1, G), 0.3).double())
    towards = merge(own, opposed)[0] - own.out
    torch.testing.assert_close(push_away(own.out, own, opposed), own.out - towards)
