from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

from fabric.attention import SeenReferences
from fabric.encoding import Text
from fabric.hosts import host_of
from fabric.hosts.base import Call
from fabric.hosts.flux2 import Flux2Projector
from fabric.params import FabricParams
from fabric.processor import FabricAttnProcessor, Group, ShownReferences
from fabric.seeding import generator_for
from fabric.steering import feedback
from tests.fabric.hosts.laws import PROMPT, A, B, HostLaws
from tests.fabric.hosts.tiny import CODEC, LETTERS, SIDE, ready


def build(*, distilled: bool) -> Flux2KleinPipeline:
    """A tiny FLUX.2 klein, which takes what its text encoder says in layers 9, 18 and 27."""
    vocabulary = {piece: place for place, piece in enumerate(["<|endoftext|>", "Ġ", *LETTERS])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[])
    tokenizer.chat_template = "{% for message in messages %}user {{ message['content'] }}{% endfor %}"
    text_encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(vocabulary),
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=28,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=8,
        )
    )
    vae = AutoencoderKLFlux2(**CODEC)
    vae.bn.running_mean.uniform_(-0.3, 0.3)
    vae.bn.running_var.uniform_(0.5, 2)
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 4, 4),
        mlp_ratio=2.0,
    )
    return ready(
        Flux2KleinPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            transformer=transformer,
            is_distilled=distilled,
        )
    )


class _Klein(HostLaws):
    knobs: ClassVar[dict[str, Any]] = {"outer": 1.0}

    def call(self, pipe: Any, **changes: Any) -> Tensor:
        """See `HostLaws`; the pipeline packs latents that it is given itself."""
        host, side = host_of(pipe), SIDE // pipe.vae_scale_factor
        drawn = torch.randn(1, host.channels, side, side, generator=generator_for("latents", 3))
        return super().call(pipe, latents=pipe._patchify_latents(drawn.to(host.latent_dtype)), **changes)


class TestFlux2Klein(_Klein):
    def build(self) -> Any:
        return build(distilled=False)

    def test_disliked_pictures_join_the_unconditional_pass(self, pipe: Any) -> None:
        with feedback(pipe, self.params, liked=(A,), disliked=(B,)) as steering:
            self.call(pipe)
        conditional, unconditional = steering.received()[:2]
        assert ([*conditional[0]], [*unconditional[0]]) == ([A.id], [B.id])

    def test_references_are_told_the_time_of_the_first_picture_beside_the_image(self, pipe: Any) -> None:
        host, (height, width) = host_of(pipe), (3, 5)
        told = host.told([Text(PROMPT)], (SIDE, SIDE), torch.device("cpu"))
        sample = torch.zeros(1, height * width, 16)
        call = Call(host.arguments(sample, torch.tensor(500.0), told, [3.0], (4 * height, 4 * width)))
        assert host.grid(call) == (2 * height, 2 * width)
        theirs = pipe._prepare_image_ids([torch.zeros(1, 16, height, width)])[0]
        for found, expected in zip(host.positions(call), pipe.transformer.pos_embed(theirs), strict=True):
            assert torch.equal(found, expected)
        both = {"img_ids": torch.cat([call.arguments["img_ids"], theirs[None]], dim=1)}
        with pytest.raises(ValueError, match="Flux2KleinPipeline shows the model pictures of its own"):
            host.grid(Call({**both, "hidden_states": torch.zeros(1, 2 * height * width, 16)}))

    @torch.no_grad()
    def test_weight_one_is_concatenation_and_the_prompt_sees_nothing_of_it(self, pipe: Any) -> None:
        attn = pipe.transformer.double().single_transformer_blocks[1].attn
        own, reference = (torch.randn(1, n, 32, dtype=torch.float64) for n in (11, 6))
        ids = torch.cartesian_prod(*(torch.arange(n) for n in (1, 1, 1, 11)))
        rotary, shifted = pipe.transformer.pos_embed(ids), pipe.transformer.pos_embed(ids[:6] + 3)
        plainly = attn(own, image_rotary_emb=rotary)
        processor = FabricAttnProcessor(Flux2Projector())
        processor.own, processor.records, processor.positions = attn.processor, True, shifted
        processor.image_tokens = 6
        attn.set_processor(processor)
        torch.testing.assert_close(attn(own, image_rotary_emb=rotary), plainly)
        attn(reference, image_rotary_emb=shifted)
        kept = processor.recorded
        processor.clear()
        assert kept is not None
        group = Group(slice(0, 1), SeenReferences(slice(0, 1), torch.zeros(1, 1, 1, dtype=torch.float64)))
        processor.shown = ShownReferences((kept[0],), (group,))
        steered = attn(own, image_rotary_emb=rotary)
        torch.testing.assert_close(steered[:, :5], plainly[:, :5])

        def parts(x: Tensor, places: Any) -> list[Tensor]:
            query, key, value = (part.view(1, -1, 2, 16) for part in attn.to_qkv_mlp_proj(x)[..., :96].chunk(3, dim=-1))
            turned = [apply_rotary_emb(y, places, sequence_dim=1) for y in (attn.norm_q(query), attn.norm_k(key))]
            return [y.transpose(1, 2) for y in (*turned, value)]

        (query, *of_own), (_, *of_reference) = parts(own, rotary), parts(reference, shifted)
        key, value = (torch.cat(pair, dim=2) for pair in zip(of_own, of_reference, strict=True))
        mixed = (torch.softmax(query @ key.transpose(-1, -2) / 4, dim=-1) @ value).transpose(1, 2).flatten(2)
        fed = attn.mlp_act_fn(attn.to_qkv_mlp_proj(own)[..., 96:])
        torch.testing.assert_close(steered[:, 5:], attn.to_out(torch.cat([mixed, fed], dim=-1))[:, 5:])


class TestFlux2KleinDistilled(_Klein):
    guidance = other_guidance = 1.0

    def build(self) -> Any:
        return build(distilled=True)

    def test_it_has_no_guidance(self, pipe: Any) -> None:
        assert "guidance_scale" not in host_of(pipe).knobs
        with pytest.raises(ValueError, match=r"guidance_scale: 4 given; FLUX.2 klein has no such knob; allowed: 7"):
            host_of(pipe).check(FabricParams(guidance_scale=4))
