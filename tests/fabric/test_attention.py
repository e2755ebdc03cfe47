from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from fabric.attention import ReferenceAttnProcessor, ReferenceMemory

B, R, L, C = 3, 2, 5, 8


def _layer(dtype: torch.dtype = torch.float64) -> tuple[Attention, ReferenceMemory]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = Attention(C, heads=2, dim_head=4).to(dtype)
    memory = ReferenceMemory()
    layer.set_processor(ReferenceAttnProcessor("layer", memory))
    return layer.eval(), memory


def _random(*shape: int, key: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64)


def _plain(layer: Attention, own: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    """Equation 2 of the paper: softmax, probabilities times weights, renormalised; no cache, no batch."""
    rows = []
    for b in range(len(own)):
        tokens = torch.cat([own[b], *references])
        w = torch.cat([torch.ones(L), *(torch.full((L,), float(x)) for x in weights[b])])
        heads = []
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            q = layer.to_q(own[b])[:, part]
            k, v = layer.to_k(tokens)[:, part], layer.to_v(tokens)[:, part]
            p = torch.softmax(q @ k.T / 2.0, dim=-1) * w
            heads.append((p / p.sum(-1, keepdim=True)) @ v)
        rows.append(layer.to_out[0](torch.cat(heads, dim=-1)))
    return torch.stack(rows)


def _record(layer: Attention, memory: ReferenceMemory, references: Tensor) -> None:
    with memory.record():
        layer(references)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_equals_softmax_times_weights_renormalised(scale: float) -> None:
    layer, memory = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    weights = scale * _random(B, R, key=3).abs()
    _record(layer, memory, references)
    with memory.attend(weights):
        steered = layer(own)
    torch.testing.assert_close(steered, _plain(layer, own, references, weights))
    assert not torch.allclose(steered, layer(own))


@torch.no_grad()
def test_weight_zero_is_absence() -> None:
    layer, memory = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    _record(layer, memory, references)
    with memory.attend(torch.tensor([[0.0, 0.0], [0.0, 0.7], [0.7, 0.0]])):
        steered = layer(own)
    plain = layer(own)
    torch.testing.assert_close(steered[0], plain[0])
    alone = _plain(layer, own[1:2], references[1:], torch.tensor([[0.7]]))
    torch.testing.assert_close(steered[1:2], alone)


@torch.no_grad()
def test_two_halves_equal_one_whole() -> None:
    layer, memory = _layer()
    own, reference = _random(B, L, C), _random(1, L, C, key=2)
    _record(layer, memory, reference)
    with memory.attend(torch.full((B, 1), 0.8)):
        whole = layer(own)
    _record(layer, memory, reference.repeat(2, 1, 1))
    with memory.attend(torch.full((B, 2), 0.4)):
        torch.testing.assert_close(layer(own), whole)


@torch.no_grad()
def test_weight_zero_with_dominant_reference_is_finite_in_half_precision() -> None:
    layer, memory = _layer(torch.float16)
    own, reference = _random(B, L, C).half(), 60 * _random(1, L, C, key=2).half()
    _record(layer, memory, reference)
    with memory.attend(torch.tensor([[0.0], [0.0], [1.0]])):
        steered = layer(own)
    assert torch.isfinite(steered).all()
    torch.testing.assert_close(steered[:2], layer(own)[:2], rtol=1e-2, atol=1e-3)


@torch.no_grad()
def test_without_references_equals_diffusers() -> None:
    layer, _ = _layer()
    own = _random(B, L, C)
    ours = layer(own)
    layer.set_processor(AttnProcessor2_0())
    torch.testing.assert_close(ours, layer(own))


def test_wrong_number_of_weights_names_both_shapes() -> None:
    layer, memory = _layer()
    _record(layer, memory, _random(R, L, C))
    with (
        memory.attend(torch.ones(B, R + 1)),
        pytest.raises(ValueError, match=r"\(3, 3\), expected \(3, 2\)"),
    ):
        layer(_random(B, L, C))


def test_memory_is_left_clean_after_an_exception() -> None:
    memory = ReferenceMemory()
    with pytest.raises(RuntimeError), memory.attend(torch.ones(1, 1)):
        raise RuntimeError
    with pytest.raises(RuntimeError), memory.record():
        raise RuntimeError
    assert not memory.used
    assert not memory.recording
