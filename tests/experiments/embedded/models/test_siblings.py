from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from experiments.embedded.models.generator import build_unet
from experiments.embedded.models.siblings import SiblingAttnProcessor, install, siblings_of
from experiments.embedded.world.emoji.world import EmojiWorld
from experiments.training.trainer import seeded
from fabric.attention import SeenReferences
from fabric.processor import FabricAttnProcessor, Group, ShownReferences


def _layer() -> Attention:
    with seeded(0):
        return Attention(8, heads=2, dim_head=4).double()


def _tokens() -> torch.Tensor:
    return torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@torch.no_grad()
def test_pairs_attend_as_fabric_does_at_weight_one() -> None:
    layer, tokens = _layer(), _tokens()
    layer.set_processor(SiblingAttnProcessor(2))
    ours = layer(tokens)
    layer.set_processor(AttnProcessor2_0())
    plain = layer(tokens)
    processor = FabricAttnProcessor()
    layer.set_processor(processor)
    weight_one = torch.zeros(2, 1, 1, dtype=torch.float64)  # its logarithm
    processor.shown = ShownReferences(tuple(tokens[:2]), (Group(slice(0, 2), SeenReferences(slice(0, 2), weight_one)),))
    steered = layer(tokens[2:4])
    torch.testing.assert_close(ours[:2], plain[:2])
    torch.testing.assert_close(ours[2:4], steered)
    torch.testing.assert_close(ours[4:], plain[4:])


@torch.no_grad()
def test_without_pairs_it_is_ordinary_attention() -> None:
    layer, tokens = _layer(), _tokens()
    layer.set_processor(SiblingAttnProcessor(0))
    ours = layer(tokens)
    layer.set_processor(AttnProcessor2_0())
    torch.testing.assert_close(ours, layer(tokens))


def test_only_self_attention_sees_siblings() -> None:
    unet = build_unet((32, 32), 32)
    install(unet, 2)
    for name, processor in unet.attn_processors.items():
        assert isinstance(processor, SiblingAttnProcessor) == (".attn1." in name)


def test_siblings_share_what_is_named_and_are_never_held_out() -> None:
    world, generator = EmojiWorld(), torch.Generator().manual_seed(0)
    scenes = world.sample(500, generator, held_out=False)
    siblings = siblings_of(scenes, ("hand", "backdrop"), generator)
    assert not world.is_held_out(siblings).any()
    for name in ("hand", "backdrop"):
        assert torch.equal(siblings.column(name), scenes.column(name))
    assert (siblings.column("concept") == scenes.column("concept")).float().mean() < 0.05


def test_siblings_share_everything_where_nothing_is_named() -> None:
    generator = torch.Generator().manual_seed(0)
    scenes = EmojiWorld().sample(20, generator)
    siblings = siblings_of(scenes, (), generator)
    assert torch.equal(siblings.attributes, scenes.attributes)
    assert not torch.equal(siblings.jitter, scenes.jitter)
