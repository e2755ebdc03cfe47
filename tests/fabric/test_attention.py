"""Attention to several sources against equation 2 of the paper, written plainly."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fabric.attention import Partial, Source, attend_alone, merge, push_away

G, H, L, D, R = 3, 2, 6, 4, 2


def _random(*shape: int, key: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64).to(dtype)


def _inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Source, list[tuple[Tensor, Tensor]]]:
    query, key, value = (_random(G, H, L, D, key=k, dtype=dtype) for k in range(3))
    references = [
        (_random(H, L, D, key=10 + r, dtype=dtype), _random(H, L, D, key=20 + r, dtype=dtype)) for r in range(R)
    ]
    return query, Source(key, value), references


def _plain(query: Tensor, own: Source, references: list[tuple[Tensor, Tensor]], weights: Tensor) -> Tensor:
    """Softmax over all tokens, probabilities times weights (G x R x L), renormalised; a loop over samples."""
    rows = []
    for g in range(len(query)):
        keys = torch.cat([own.key[g], *(key for key, _ in references)], dim=1)
        values = torch.cat([own.value[g], *(value for _, value in references)], dim=1)
        weight = torch.cat([torch.ones(L), *weights[g]])
        p = torch.softmax(query[g] @ keys.transpose(1, 2) / D**0.5, dim=-1) * weight
        rows.append((p / p.sum(-1, keepdim=True)) @ values)
    return torch.stack(rows)


def _parts(query: Tensor, own: Source, references: list[tuple[Tensor, Tensor]], weights: Tensor) -> list[Partial]:
    sources = [Source(key, value, weights[:, r].log()) for r, (key, value) in enumerate(references)]
    return [attend_alone(query, source) for source in (own, *sources)]


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_equals_softmax_times_weights_renormalised(scale: float) -> None:
    query, own, references = _inputs()
    weights = scale * _random(G, R, key=3).abs()
    out, shares = merge(_parts(query, own, references, weights))
    torch.testing.assert_close(out, _plain(query, own, references, weights[:, :, None].expand(-1, -1, L)))
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(G, H, L, dtype=torch.float64))


def test_shares_are_the_probabilities_that_references_receive() -> None:
    query, own, references = _inputs()
    weights = torch.tensor([[0.7, 0.0]] * G, dtype=torch.float64)
    _, shares = merge(_parts(query, own, references, weights))
    keys = torch.cat([own.key, references[0][0].expand(G, -1, -1, -1)], dim=2)
    p = torch.softmax(query @ keys.transpose(2, 3) / D**0.5, dim=-1)
    received = 0.7 * p[..., L:].sum(-1) / (p[..., :L].sum(-1) + 0.7 * p[..., L:].sum(-1))
    torch.testing.assert_close(shares[1], received)
    assert shares[2].abs().max() == 0


def test_a_token_bias_weighs_single_tokens() -> None:
    query, own, references = _inputs()
    tokens = torch.tensor([0.0, 0.25, 1.0, 0.5, 0.0, 0.75], dtype=torch.float64)
    (key, value), weights = references[0], _random(G, 1, key=3).abs()
    part = attend_alone(query, Source(key, value, weights[:, 0].log(), tokens.log().clamp(min=-1e4)))
    out, _ = merge([attend_alone(query, own), part])
    torch.testing.assert_close(out, _plain(query, own, references[:1], weights[:, :, None] * tokens))


@settings(deadline=None, max_examples=20)
@given(st.floats(1e-3, 8), st.floats(0.01, 0.99))
def test_two_parts_of_a_weight_equal_the_whole(weight: float, share: float) -> None:
    query, own, references = _inputs()
    whole = _parts(query, own, references[:1], torch.full((G, 1), weight, dtype=torch.float64))
    parts = torch.tensor([[weight * share, weight * (1 - share)]] * G, dtype=torch.float64)
    torch.testing.assert_close(merge(_parts(query, own, references[:1] * 2, parts))[0], merge(whole)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weight_zero_with_dominant_logits_in_half_precision(dtype: torch.dtype) -> None:
    query, own, references = _inputs(dtype)
    loud = [(1000 * key, value) for key, value in references]
    parts = _parts(query, own, loud, torch.zeros(G, R))
    assert torch.isfinite(merge(parts)[0]).all()
    assert torch.equal(merge(parts)[0], parts[0].out)


def test_what_is_pushed_away_at_weight_zero_is_absent_and_the_norm_is_bounded() -> None:
    query, own, references = _inputs()
    attended = attend_alone(query, own)
    nothing = _parts(query, own, references, torch.zeros(G, R, dtype=torch.float64))[1:]
    assert torch.equal(push_away(attended.out, attended, nothing), attended.out)
    strong = _parts(query, own, [(key, 100 * value) for key, value in references], torch.full((G, R), 8.0).double())
    turned = push_away(attended.out, attended, strong[1:])
    assert (turned.abs().sum(-1) <= 2.5 * attended.out.abs().sum(-1) + 1e-9).all()
    assert (turned - attended.out).abs().max() > 0.1


def test_pushed_away_means_less_of_it() -> None:
    query, own, references = _inputs()
    attended = attend_alone(query, own)
    opposed = _parts(query, own, references[:1], torch.ones(G, 1).double())[1:]
    towards = merge([attended, *opposed])[0] - attended.out
    torch.testing.assert_close(push_away(attended.out, attended, opposed), attended.out - towards)
