from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from experiments.training.trainer import seeded
from fabric.attention import SeenReferences
from fabric.processor import FabricAttnProcessor, Group, ShownReferences, TokenMask

B, R, L, C = 3, 2, 6, 8


def _layer() -> tuple[Attention, FabricAttnProcessor]:
    with seeded(0):
        attn = Attention(C, heads=2, dim_head=4).to(torch.float64)
    processor = FabricAttnProcessor()
    attn.set_processor(processor)
    return attn.eval(), processor


def _random(*shape: int, key: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64)


def _steer(attn: Attention, processor: FabricAttnProcessor, own: Tensor, references: Tensor, *groups: Group) -> Tensor:
    processor.shown = ShownReferences(tuple(references), groups)
    steered: Tensor = attn(own)
    return steered


def _everybody(weights: Tensor, bias: Tensor | None = None) -> Group:
    """All samples see all references; weights are B x R."""
    return Group(slice(0, B), SeenReferences(slice(0, weights.shape[1]), weights.T[None].log(), bias))


def _joined(attn: Attention, own: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    """The same by the stock processor: keys that come twice count double, so weights of 1 are plain concatenation."""
    assert torch.equal(weights, torch.ones_like(weights))
    stock = AttnProcessor2_0()
    rows = []
    for sample in own:
        tokens = torch.cat([sample, *references])[None]
        rows.append(stock(attn, sample[None], encoder_hidden_states=tokens))
    return torch.cat(rows)


@torch.no_grad()
def test_weight_one_is_concatenation() -> None:
    attn, processor = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    weights = torch.ones(B, R, dtype=torch.float64)
    steered = _steer(attn, processor, own, references, _everybody(weights))
    torch.testing.assert_close(steered, _joined(attn, own, references, weights))


@torch.no_grad()
def test_groups_attend_to_their_own_references() -> None:
    attn, processor = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    log_weight = torch.zeros(1, 1, 2, dtype=torch.float64)
    group = Group(torch.tensor([2, 0]), SeenReferences(slice(1, 2), log_weight))
    steered = _steer(attn, processor, own, references, group)
    processor.clear()
    torch.testing.assert_close(steered[[2, 0]], _joined(attn, own[[2, 0]], references[1:], torch.ones(2, 1)))
    torch.testing.assert_close(steered[1], attn(own)[1])


@torch.no_grad()
def test_sets_side_by_side_each_see_their_own() -> None:
    attn, processor = _layer()
    own, references = _random(4, L, C), _random(3, L, C, key=2)
    log_weight = torch.zeros(2, 2, 2, dtype=torch.float64)
    group = Group(torch.tensor([3, 1, 0, 2]), SeenReferences(torch.tensor([0, 2, 1, 0]), log_weight))
    steered = _steer(attn, processor, own, references, group)
    for rows, its in (([3, 1], [0, 2]), ([0, 2], [1, 0])):
        torch.testing.assert_close(steered[rows], _joined(attn, own[rows], references[its], torch.ones(2, 2)))


@torch.no_grad()
def test_a_mask_of_halves_is_half_the_weight_and_one_of_zeros_is_absence() -> None:
    attn, processor = _layer()
    own, references = _random(B, L, C), _random(1, L, C, key=2)
    weights = torch.ones(B, 1, dtype=torch.float64)
    plain, half = attn(own), _steer(attn, processor, own, references, _everybody(0.5 * weights))
    for value, expected in ((0.5, half), (0.0, plain)):
        mask = TokenMask(torch.full((4, 6), value, dtype=torch.float64))
        steered = _steer(attn, processor, own, references, _everybody(weights, mask.bias(L)[None]))
        torch.testing.assert_close(steered, expected)


@pytest.mark.parametrize(("latent", "tokens"), [((16, 16), 64), ((9, 16), 40), ((4, 4), 16)])
def test_a_mask_fits_layers_of_every_grid(latent: tuple[int, int], tokens: int) -> None:
    assert TokenMask(torch.ones(latent)).bias(tokens).tolist() == [0] * tokens


def test_a_layer_that_is_no_grid_of_the_latents_is_named() -> None:
    with pytest.raises(ValueError, match="mask: a layer of 24 tokens does not fit latents"):
        TokenMask(torch.ones(9, 15)).bias(24)


@torch.no_grad()
def test_what_references_receive_is_kept() -> None:
    attn, processor = _layer()
    _steer(attn, processor, _random(B, L, C), _random(R, L, C, key=2), _everybody(torch.full((B, R), 0.8)))
    shares = processor.received[0]
    assert shares.shape == (B, R)
    assert ((shares > 0) & (shares.sum(dim=1, keepdim=True) < 1)).all()


@torch.no_grad()
def test_idle_it_is_ordinary_attention_and_it_can_be_made_without_arguments() -> None:
    attn, processor = _layer()
    own = _random(B, L, C)
    processor.records = True
    ours = attn(own)
    assert processor.recorded is not None
    assert torch.equal(processor.recorded, own)
    for processor in (AttnProcessor2_0(), FabricAttnProcessor()):
        attn.set_processor(processor)
        torch.testing.assert_close(ours, attn(own))
