from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from experiments.embedded.models.generator import build_unet
from experiments.embedded.training.trainer import seeded
from fabric.attention import Group, ReferenceAttnProcessor, ReferenceMemory, depth_of, install

B, R, GRID, C = 3, 2, (2, 3), 8
L = GRID[0] * GRID[1]


def _layer(dtype: torch.dtype = torch.float64, depth: float = 0.0) -> tuple[Attention, ReferenceMemory]:
    with seeded(0):
        layer = Attention(C, heads=2, dim_head=4).to(dtype)
    memory = ReferenceMemory()
    layer.set_processor(ReferenceAttnProcessor("layer", depth, memory))
    return layer.eval(), memory


def _random(*shape: int, key: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64)


def _plain(layer: Attention, own: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    """Equation 2 of the paper: softmax, probabilities times weights (B x R x L), renormalised; no cache, no batch."""
    rows = []
    for b in range(len(own)):
        tokens = torch.cat([own[b], *references])
        w = torch.cat([torch.ones(L), *weights[b]])
        heads = []
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            q = layer.to_q(own[b])[:, part]
            k, v = layer.to_k(tokens)[:, part], layer.to_v(tokens)[:, part]
            p = torch.softmax(q @ k.T / 2.0, dim=-1) * w
            heads.append((p / p.sum(-1, keepdim=True)) @ v)
        rows.append(layer.to_out[0](torch.cat(heads, dim=-1)))
    return torch.stack(rows)


def _record(layer: Attention, memory: ReferenceMemory, references: Tensor) -> list[dict[str, Tensor]]:
    with memory.record() as recorded:
        layer(references)
        return [{"layer": states} for states in recorded["layer"]]


def _group(weights: Tensor, hidden: list[dict[str, Tensor]], **changes: Any) -> Group:
    fields: dict[str, Any] = {
        "rows": list(range(len(weights))),
        "references": tuple(hidden),
        "weights": weights,
        "bottleneck": torch.ones(len(weights)),
        "masks": (None,) * len(hidden),
    }
    return Group(**{**fields, **changes})


def _steer(layer: Attention, memory: ReferenceMemory, own: Tensor, *groups: Group) -> Tensor:
    with memory.attend(list(groups), GRID):
        return layer(own)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_equals_softmax_times_weights_renormalised(scale: float) -> None:
    layer, memory = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    weights = scale * _random(B, R, key=3).abs()
    steered = _steer(layer, memory, own, _group(weights, _record(layer, memory, references)))
    torch.testing.assert_close(steered, _plain(layer, own, references, weights[:, :, None].expand(-1, -1, L)))
    assert not torch.allclose(steered, layer(own))


@torch.no_grad()
def test_groups_attend_to_their_own_references() -> None:
    layer, memory = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    hidden = _record(layer, memory, references)
    groups = [
        _group(torch.tensor([[0.7], [0.2]]), hidden[1:], rows=[2, 0]),
        _group(torch.empty(1, 0), [], rows=[1]),
    ]
    steered = _steer(layer, memory, own, *groups)
    weights = torch.tensor([0.7, 0.2])[:, None, None].expand(-1, -1, L)
    torch.testing.assert_close(steered[[2, 0]], _plain(layer, own[[2, 0]], references[1:], weights))
    torch.testing.assert_close(steered[1], layer(own)[1])


@torch.no_grad()
@settings(deadline=None, max_examples=20)
@given(depth=st.floats(0, 1), bottleneck=st.floats(0, 2))
def test_weights_change_with_depth(depth: float, bottleneck: float) -> None:
    layer, memory = _layer(depth=depth)
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    weights = _random(B, R, key=3).abs()
    group = _group(weights, _record(layer, memory, references), bottleneck=torch.full((B,), bottleneck))
    deep = weights * (1 + (bottleneck - 1) * depth)
    expected = _plain(layer, own, references, deep[:, :, None].expand(-1, -1, L))
    torch.testing.assert_close(_steer(layer, memory, own, group), expected)


@torch.no_grad()
def test_a_mask_multiplies_the_weight_token_by_token() -> None:
    layer, memory = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    tokens = torch.tensor([[0.0, 0.25, 1.0], [0.5, 0.0, 0.75]])
    larger = tokens.repeat_interleave(4, 0).repeat_interleave(4, 1)  # 8 x 12: each token has an area of its own
    weights = _random(B, R, key=3).abs()
    group = _group(weights, _record(layer, memory, references), masks=(larger, None))
    per_token = weights[:, :, None] * torch.stack([tokens.flatten(), torch.ones(L)])
    torch.testing.assert_close(_steer(layer, memory, own, group), _plain(layer, own, references, per_token))


@torch.no_grad()
def test_two_halves_equal_one_whole() -> None:
    layer, memory = _layer()
    own, hidden = _random(B, L, C), _record(*_layer(), _random(1, L, C, key=2))
    whole = _steer(layer, memory, own, _group(torch.full((B, 1), 0.8), hidden))
    halves = _steer(layer, memory, own, _group(torch.full((B, 2), 0.4), hidden * 2))
    torch.testing.assert_close(whole, halves)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weight_zero_with_dominant_logits_in_half_precision(dtype: torch.dtype) -> None:
    layer, memory = _layer(dtype)
    own = _random(B, L, C).to(dtype)
    hidden = _record(layer, memory, 1000 * own[:1])
    steered = _steer(layer, memory, own, _group(torch.zeros(B, 1), hidden))
    assert torch.isfinite(steered).all()
    torch.testing.assert_close(steered, layer(own), rtol=1e-2, atol=1e-2)


@torch.no_grad()
def test_idle_it_is_ordinary_attention() -> None:
    layer, _ = _layer()
    own = _random(B, L, C)
    ours = layer(own)
    layer.set_processor(AttnProcessor2_0())
    torch.testing.assert_close(ours, layer(own))


def test_memory_is_left_clean_after_an_exception() -> None:
    memory = ReferenceMemory()
    group = _group(torch.ones(1, 1), [{"layer": torch.zeros(L, C)}])
    with pytest.raises(RuntimeError), memory.attend([group], GRID):
        raise RuntimeError
    with pytest.raises(RuntimeError), memory.record():
        raise RuntimeError
    assert not memory.groups
    assert not memory.recording
    assert not memory.recorded


@pytest.mark.parametrize(
    ("latent", "tokens", "grid"),
    [((16, 16), 64, (8, 8)), ((9, 16), 40, (5, 8)), ((9, 15), 24, (3, 4)), ((4, 4), 16, (4, 4))],
)
def test_grid_of_a_layer(latent: tuple[int, int], tokens: int, grid: tuple[int, int]) -> None:
    memory = ReferenceMemory()
    memory.latent_size = latent
    if tokens == 24:
        with pytest.raises(ValueError, match="24 tokens"):
            memory.grid(tokens)
    else:
        assert memory.grid(tokens) == grid


def test_depth_runs_from_the_outer_blocks_to_the_middle() -> None:
    names = [
        "down_blocks.0",
        "down_blocks.1",
        "down_blocks.2",
        "mid_block",
        "up_blocks.0",
        "up_blocks.1",
        "up_blocks.2",
    ]
    depths = [depth_of(f"{name}.attentions.0", 3) for name in names]
    assert depths == pytest.approx([0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0])


def test_only_self_attention_sees_references() -> None:
    unet = build_unet((32, 32), 32)
    install(unet)
    for name, processor in unet.attn_processors.items():
        assert isinstance(processor, ReferenceAttnProcessor) == (".attn1." in name)
