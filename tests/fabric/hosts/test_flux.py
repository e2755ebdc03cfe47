from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_flux import FluxAttnProcessor
from torch import Tensor
from transformers import CLIPTextModel

from fabric.attention import SeenReferences
from fabric.encoding import Text
from fabric.generator import FabricGenerator, Request
from fabric.hosts import host_of
from fabric.hosts.base import Call
from fabric.hosts.flux import FluxProjector
from fabric.params import FabricParams
from fabric.processor import FabricAttnProcessor, Group, ShownReferences
from fabric.steering import feedback
from tests.fabric.hosts.laws import PROMPT, STEPS, A, B, HostLaws
from tests.fabric.hosts.tiny import SIDE, clip, codec, ready, t5


def build(*, guidance_embeds: bool) -> FluxPipeline:
    """A tiny FLUX.1."""
    (tokenizer, text_encoder), (tokenizer_2, text_encoder_2) = clip(16, CLIPTextModel), t5(24)
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        pooled_projection_dim=16,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(4, 6, 6),
    )
    return ready(
        FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=guidance_embeds),
            vae=codec(),
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
            transformer=transformer,
        )
    )


class TestFluxDev(HostLaws):
    knobs: ClassVar[dict[str, Any]] = {"outer": 1.0}
    guidance = 3.0
    guidance_is_told = True

    def build(self) -> Any:
        return build(guidance_embeds=True)

    def test_it_is_told_its_guidance_and_references_the_usual_one(self, pipe: Any) -> None:
        told: list[list[float]] = []
        pipe.transformer.register_forward_pre_hook(
            lambda module, args, kwargs: told.append(kwargs["guidance"].tolist()), with_kwargs=True
        )
        requests = [Request(PROMPT, 3, replace(self.params, guidance_scale=scale), (A,)) for scale in (2, 6)]
        images = FabricGenerator(pipe)(requests, STEPS, (SIDE, SIDE)).images
        assert told == [[2, 6], [3.5], [2, 6]]  # the pass of references is within the first call
        assert (images[0] - images[1]).abs().max() > 1e-3

    def test_by_default_double_stream_blocks_see_nothing(self, pipe: Any) -> None:
        params = replace(self.params, outer=0)
        inner, all_blocks = FabricGenerator(pipe), FabricGenerator(pipe)
        images = self.one(inner, params=params, liked=(A,)), self.one(all_blocks, liked=(A,))
        assert inner.bank.bytes * 3 == all_blocks.bank.bytes * 2
        assert (images[0] - images[1]).abs().max() > 1e-3

    def test_calls_with_a_negative_prompt_see_nothing(self, pipe: Any) -> None:
        with feedback(pipe, self.params, liked=(A,), disliked=(B,)) as steering:
            self.call(pipe, negative_prompt="a square", true_cfg_scale=2.0)
        assert [bool(shares) for shares in steering.received()] == [True, False] * STEPS

    def test_a_negative_prompt_is_refused(self, pipe: Any) -> None:
        with pytest.raises(ValueError, match=r"negative prompt: 'a square'; FLUX.1 has no unconditional pass"):
            self.one(FabricGenerator(pipe), negative_prompt="a square")

    @torch.no_grad()
    def test_references_are_further_keys_to_the_right_of_the_image(self, pipe: Any) -> None:
        """In a single-stream block, by an explicit softmax over all keys, those of the reference at shifted places."""
        core = pipe.transformer.double()
        attn = core.single_transformer_blocks[0].attn
        ids = torch.cartesian_prod(torch.arange(1), torch.arange(2), torch.arange(3)).double()
        rotary = core.pos_embed(torch.cat([torch.zeros(5, 3), ids]))
        shifted = core.pos_embed(ids + torch.tensor([0, 0, 3]))
        own, reference = torch.randn(1, 5 + 6, 32, dtype=torch.float64), torch.randn(1, 6, 32, dtype=torch.float64)
        plainly = attn(own, image_rotary_emb=rotary)
        processor = FabricAttnProcessor(FluxProjector())
        attn.set_processor(processor)
        processor.own = FluxAttnProcessor()
        processor.image_tokens, processor.positions = 6, shifted
        processor.records = True
        attn(torch.cat([torch.randn(1, 5, 32), reference], dim=1), image_rotary_emb=rotary)
        kept = processor.recorded
        processor.clear()
        assert kept is not None
        group = Group(slice(0, 1), SeenReferences(slice(0, 1), torch.zeros(1, 1, 1, dtype=torch.float64)))
        processor.shown = ShownReferences((kept[0],), (group,))
        steered = attn(own, image_rotary_emb=rotary)
        torch.testing.assert_close(steered[:, :5], plainly[:, :5])

        def heads(x: Tensor, project: Any) -> Tensor:
            return project(x).view(1, -1, 2, 16)

        def turned(x: Tensor, positions: Any) -> Tensor:
            return apply_rotary_emb(x, positions, sequence_dim=1).transpose(1, 2)

        query = turned(attn.norm_q(heads(own, attn.to_q)), rotary)
        of_own, of_reference = (attn.norm_k(heads(x, attn.to_k)) for x in (own, reference))
        key = torch.cat([turned(of_own, rotary), turned(of_reference, shifted)], dim=2)
        value = heads(torch.cat([own, reference], dim=1), attn.to_v).transpose(1, 2)
        mixed = torch.softmax(query @ key.transpose(-1, -2) / 4, dim=-1) @ value
        torch.testing.assert_close(steered[:, 5:], mixed.transpose(1, 2).flatten(2)[:, 5:])

    def test_disliked_pictures_join_the_pass_of_a_negative_prompt_where_it_is_said_to_come(self, pipe: Any) -> None:
        seen = {}
        for guided in (True, False):
            with feedback(pipe, self.params, liked=(A,), disliked=(B,), guided=guided) as steering:
                self.call(pipe, true_cfg_scale=3.0, negative_prompt="dusk")
            seen[guided] = [[*shares] for call in steering.received()[:2] for shares in call.values()]
        assert seen == {True: [[A.id], [B.id]], False: [[A.id]]}

    def test_references_are_told_places_one_width_to_the_right(self, pipe: Any) -> None:
        host, (height, width) = host_of(pipe), (3, 5)
        told = host.told([Text(PROMPT)], (SIDE, SIDE), torch.device("cpu"))
        sample = torch.zeros(1, height * width, 16)
        call = Call(host.arguments(sample, torch.tensor(500.0), told, [3.0], (4 * height, 4 * width)))
        ids = torch.cartesian_prod(torch.arange(1), torch.arange(height), torch.arange(width, 2 * width)).float()
        assert host.grid(call) == (2 * height, 2 * width)
        for found, expected in zip(host.positions(call), pipe.transformer.pos_embed(ids), strict=True):
            assert torch.equal(found, expected)

    def test_a_pipeline_that_shows_pictures_of_its_own_is_refused(self, pipe: Any) -> None:
        host = host_of(pipe)
        ids = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(5))  # as Kontext gives them
        with pytest.raises(ValueError, match="pipeline: FluxPipeline shows the model pictures of its own; allowed: "):
            host.grid(Call({"img_ids": ids, "hidden_states": torch.zeros(1, len(ids), 16)}))


class TestFluxSchnell(HostLaws):
    knobs: ClassVar[dict[str, Any]] = {"outer": 1.0}
    guidance = other_guidance = 1.0

    def build(self) -> Any:
        return build(guidance_embeds=False)

    def test_it_has_no_guidance(self, pipe: Any) -> None:
        with pytest.raises(ValueError, match=r"guidance_scale: 4 given; FLUX.1 has no such knob; allowed: 7"):
            self.one(FabricGenerator(pipe), params=FabricParams(guidance_scale=4))
