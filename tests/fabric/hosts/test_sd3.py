from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import Tensor

from fabric.attention import SeenReferences
from fabric.hosts.sd3 import SD3Projector
from fabric.processor import FabricAttnProcessor, Group, ShownReferences
from fabric.steering import feedback
from tests.fabric.hosts.laws import A, B, HostLaws
from tests.fabric.hosts.tiny import SIDE, clip, codec, ready, t5


class TestSD3(HostLaws):
    """3.5 Medium has norms of queries and keys, and blocks with a second attention, of the image alone."""

    def build(self) -> Any:
        encoders = clip(16), clip(16), t5(48)
        (tokenizer, text_encoder), (tokenizer_2, text_encoder_2), (tokenizer_3, text_encoder_3) = encoders
        transformer = SD3Transformer2DModel(
            sample_size=SIDE // 2,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=3,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            caption_projection_dim=32,
            pooled_projection_dim=32,
            pos_embed_max_size=12,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        )
        return ready(
            StableDiffusion3Pipeline(
                transformer=transformer,
                scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
                vae=codec(),
                text_encoder=text_encoder,
                tokenizer=tokenizer,
                text_encoder_2=text_encoder_2,
                tokenizer_2=tokenizer_2,
                text_encoder_3=text_encoder_3,
                tokenizer_3=tokenizer_3,
            )
        )

    def test_all_layers_of_the_image_see_references(self, pipe: Any) -> None:
        with feedback(pipe, self.params, liked=(A,)) as steering:
            assert list(steering.host.layers) == [
                "transformer_blocks.0.attn.processor",
                "transformer_blocks.0.attn2.processor",
                "transformer_blocks.1.attn.processor",
                "transformer_blocks.2.attn.processor",
            ]

    def test_skip_layer_guidance_sees_what_the_conditional_pass_sees(self, pipe: Any) -> None:
        with feedback(pipe, self.params, liked=(A,), disliked=(B,)) as steering:
            self.call(pipe, skip_guidance_layers=[1], skip_layer_guidance_start=-1.0, skip_layer_guidance_stop=1.0)
        both, skipping = steering.received()[:2]
        assert [set(shares) for _, shares in sorted(both.items())] == [{B.id}, {A.id}]
        assert [set(shares) for _, shares in sorted(skipping.items())] == [{A.id}]

    @torch.no_grad()
    def test_weight_one_is_concatenation_to_the_image_and_the_prompt_sees_nothing_of_it(self, pipe: Any) -> None:
        attn = pipe.transformer.double().transformer_blocks[1].attn
        own, text, reference = (torch.randn(1, n, 32, dtype=torch.float64) for n in (6, 5, 7))
        plainly = attn(own, encoder_hidden_states=text)
        processor = FabricAttnProcessor(SD3Projector())
        processor.own, processor.records = attn.processor, True
        attn.set_processor(processor)
        attn(reference, encoder_hidden_states=text)
        kept = processor.recorded
        processor.clear()
        assert kept is not None
        group = Group(slice(0, 1), SeenReferences(slice(0, 1), torch.zeros(1, 1, 1, dtype=torch.float64)))
        processor.shown = ShownReferences((kept[0],), (group,))
        image, prompt = attn(own, encoder_hidden_states=text)
        torch.testing.assert_close(prompt, plainly[1])

        def heads(x: Tensor, project: Any, norm: Any = None) -> Tensor:
            found = project(x).view(1, -1, 2, 16).transpose(1, 2)
            return found if norm is None else norm(found)

        query = heads(own, attn.to_q, attn.norm_q)
        seen = torch.cat([own, reference], dim=1)
        key = torch.cat([heads(seen, attn.to_k, attn.norm_k), heads(text, attn.add_k_proj, attn.norm_added_k)], dim=2)
        value = torch.cat([heads(seen, attn.to_v), heads(text, attn.add_v_proj)], dim=2)
        mixed = torch.softmax(query @ key.transpose(-1, -2) / 4, dim=-1) @ value
        torch.testing.assert_close(image, attn.to_out[0](mixed.transpose(1, 2).flatten(2)))

    def test_whether_it_guides_need_not_be_said(self, pipe: Any) -> None:
        message = "guided: True; Stable Diffusion 3.x says so itself; allowed: None"
        with pytest.raises(ValueError, match=message), feedback(pipe, self.params, guided=True):
            self.call(pipe)

    def test_schedulers_of_other_models_are_refused(self, pipe: Any) -> None:
        pipe.scheduler = EulerDiscreteScheduler()
        message = "scheduler: EulerDiscreteScheduler is not for flow matching"
        with pytest.raises(ValueError, match=message), feedback(pipe, self.params, liked=(A,)):
            self.call(pipe)
