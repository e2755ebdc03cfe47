from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from experiments.embedded.training.trainer import seeded
from fabric.processor import FabricAttnProcessor, Group, Reference, TokenMask

B, R, L, C = 3, 2, 6, 8


def _layer() -> tuple[Attention, FabricAttnProcessor]:
    with seeded(0):
        attn = Attention(C, heads=2, dim_head=4).to(torch.float64)
    processor = FabricAttnProcessor()
    attn.set_processor(processor)
    return attn.eval(), processor


def _random(*shape: int, key: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64)


def _group(weights: Tensor, references: Tensor, rows: slice | list[int] = slice(0, B)) -> Group:
    return Group(rows, tuple(Reference(states, weights[:, r].log()) for r, states in enumerate(references)))


def _steer(attn: Attention, processor: FabricAttnProcessor, own: Tensor, *groups: Group) -> Tensor:
    processor.groups = groups
    steered: Tensor = attn(own)
    return steered


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
    steered = _steer(attn, processor, own, _group(weights, references))
    torch.testing.assert_close(steered, _joined(attn, own, references, weights))


@torch.no_grad()
def test_groups_attend_to_their_own_references() -> None:
    attn, processor = _layer()
    own, references = _random(B, L, C), _random(R, L, C, key=2)
    ones = torch.ones(2, 1, dtype=torch.float64)
    nobody = _group(torch.empty(1, 0), references[:0], rows=[1])
    steered = _steer(attn, processor, own, _group(ones, references[1:], rows=[2, 0]), nobody)
    processor.clear()
    torch.testing.assert_close(steered[[2, 0]], _joined(attn, own[[2, 0]], references[1:], ones))
    torch.testing.assert_close(steered[1], attn(own)[1])


@torch.no_grad()
def test_a_mask_of_halves_is_half_the_weight_and_one_of_zeros_is_absence() -> None:
    attn, processor = _layer()
    own, references = _random(B, L, C), _random(1, L, C, key=2)
    weights = torch.ones(B, 1, dtype=torch.float64)
    plain, half = attn(own), _steer(attn, processor, own, _group(0.5 * weights, references))
    for value, expected in ((0.5, half), (0.0, plain)):
        mask = TokenMask(torch.full((4, 6), value, dtype=torch.float64))
        group = Group(slice(0, B), (Reference(references[0], weights[:, 0].log(), mask.bias(L)),))
        torch.testing.assert_close(_steer(attn, processor, own, group), expected)


@pytest.mark.parametrize(("latent", "tokens"), [((16, 16), 64), ((9, 16), 40), ((4, 4), 16)])
def test_a_mask_fits_layers_of_every_grid(latent: tuple[int, int], tokens: int) -> None:
    assert TokenMask(torch.ones(latent)).bias(tokens).tolist() == [0] * tokens


def test_a_layer_that_is_no_grid_of_the_latents_is_named() -> None:
    with pytest.raises(ValueError, match="mask: a layer of 24 tokens does not fit latents"):
        TokenMask(torch.ones(9, 15)).bias(24)


@torch.no_grad()
def test_what_references_receive_is_kept() -> None:
    attn, processor = _layer()
    _steer(attn, processor, _random(B, L, C), _group(torch.full((B, R), 0.8), _random(R, L, C, key=2)))
    (shares,) = processor.received
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
