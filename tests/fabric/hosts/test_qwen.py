from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen
from torch import Tensor
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from fabric.attention import SeenReferences
from fabric.encoding import Text
from fabric.hosts import host_of
from fabric.hosts.base import Call
from fabric.hosts.qwen import QwenProjector
from fabric.processor import FabricAttnProcessor, Group, ShownReferences
from fabric.steering import feedback
from tests.fabric.hosts.laws import PROMPT, A, B, HostLaws
from tests.fabric.hosts.tiny import LETTERS, SIDE, ready


def _qwen() -> tuple[Qwen2Tokenizer, Qwen2_5_VLForConditionalGeneration]:
    """Reads letters, and nothing else of the instruction that the pipeline puts before prompts."""
    vocabulary = {piece: place for place, piece in enumerate(["<|endoftext|>", "Ġ", *LETTERS])}
    text = {
        "vocab_size": len(vocabulary),
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 2, 2], "rope_theta": 1e4},
    }
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 24}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return Qwen2Tokenizer(vocab=vocabulary, merges=[]), Qwen2_5_VLForConditionalGeneration(config)


class TestQwenImage(HostLaws):
    guidance_is_named = True
    rounding: ClassVar[float] = 1e-5  # diffusers turns queries and keys in single precision

    def build(self) -> Any:
        tokenizer, text_encoder = _qwen()
        return ready(
            QwenImagePipeline(
                scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
                vae=AutoencoderKLQwenImage(
                    base_dim=8,
                    z_dim=4,
                    dim_mult=[1, 2],
                    num_res_blocks=1,
                    temperal_downsample=[False],
                    latents_mean=[0.1, -0.1, 0.2, 0.0],
                    latents_std=[1.0, 1.5, 0.8, 1.2],
                ),
                text_encoder=text_encoder,
                tokenizer=tokenizer,
                transformer=QwenImageTransformer2DModel(
                    in_channels=16,
                    out_channels=4,
                    num_layers=3,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=24,
                    axes_dims_rope=(4, 6, 6),
                ),
            )
        )

    def call(self, pipe: Any, **changes: Any) -> Tensor:
        """See `HostLaws`; the pipeline calls its guidance otherwise."""
        scale = changes.pop("guidance_scale", self.guidance)
        return super().call(pipe, guidance_scale=None, true_cfg_scale=scale, negative_prompt="", **changes)

    def test_disliked_pictures_join_the_pass_with_the_negative_prompt(self, pipe: Any) -> None:
        with feedback(pipe, self.params, liked=(A,), disliked=(B,), guided=True) as steering:
            self.call(pipe)
        conditional, unconditional = steering.received()[:2]
        assert ([*conditional[0]], [*unconditional[0]]) == ([A.id], [B.id])

    def test_references_are_told_the_place_of_a_second_picture(self, pipe: Any) -> None:
        host, (height, width) = host_of(pipe), (3, 5)
        told = host.told([Text(PROMPT)], (SIDE, SIDE), torch.device("cpu"))
        sample = torch.zeros(1, height * width, 16)
        call = Call(host.arguments(sample, torch.tensor(500.0), told, [3.0], (4 * height, 4 * width)))
        assert host.grid(call) == (2 * height, 2 * width)
        places, frame = host.positions(call), pipe.transformer.pos_embed.pos_freqs[1, :2]
        assert torch.equal(places[:, :2], frame.expand(height * width, -1))
        own, _ = pipe.transformer.pos_embed([(1, height, width)], max_txt_seq_len=1, device=torch.device("cpu"))
        assert torch.equal(places[:, 2:], own[:, 2:])
        shapes = [[(1, height, width)] * 2]  # as Qwen-Image-Edit gives them
        call = Call({"img_shapes": shapes, "hidden_states": torch.zeros(1, 2 * height * width, 16)})
        with pytest.raises(ValueError, match="QwenImagePipeline shows the model pictures of its own"):
            host.grid(call)

    @torch.no_grad()
    def test_weight_one_is_concatenation_to_the_image_and_the_prompt_sees_nothing_of_it(self, pipe: Any) -> None:
        attn = pipe.transformer.transformer_blocks[1].attn
        own, text, reference = (torch.randn(2, n, 32) for n in (6, 5, 6))
        mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
        (places, of_text), shape = pipe.transformer.pos_embed([(1, 2, 3)], torch.device("cpu"), 5), (1, 2, 3)
        shifted = pipe.transformer.pos_embed([[shape, shape]], torch.device("cpu"), 1)[0][6:]
        given = {"encoder_hidden_states": text, "image_rotary_emb": (places, of_text)}
        plainly = attn(own, encoder_hidden_states_mask=mask, **given)
        processor = FabricAttnProcessor(QwenProjector())
        processor.own, processor.records, processor.positions = attn.processor, True, shifted
        attn.set_processor(processor)
        attn(reference, **given)
        kept = processor.recorded
        processor.clear()
        assert kept is not None
        group = Group(slice(0, 2), SeenReferences(slice(0, 1), torch.zeros(1, 1, 2)))
        processor.shown = ShownReferences((kept[0],), (group,))
        image, prompt = attn(own, encoder_hidden_states_mask=mask, **given)
        torch.testing.assert_close(prompt, plainly[1])

        def heads(x: Tensor, project: Any, norm: Any = None, turned: Any = None) -> Tensor:
            found = project(x).view(len(x), -1, 2, 16)
            found = found if norm is None else norm(found)
            return (found if turned is None else apply_rotary_emb_qwen(found, turned, use_real=False)).transpose(1, 2)

        seen = reference[:1].expand(2, -1, -1)
        query = heads(own, attn.to_q, attn.norm_q, places)
        key = torch.cat(
            [
                heads(text, attn.add_k_proj, attn.norm_added_k, of_text),
                heads(own, attn.to_k, attn.norm_k, places),
                heads(seen, attn.to_k, attn.norm_k, shifted),
            ],
            dim=2,
        )
        value = torch.cat([heads(text, attn.add_v_proj), *(heads(x, attn.to_v) for x in (own, seen))], dim=2)
        logits = query @ key.transpose(-1, -2) / 4
        logits[..., :5] = logits[..., :5].masked_fill(~mask[:, None, None], -torch.inf)
        mixed = logits.softmax(dim=-1) @ value
        torch.testing.assert_close(image, attn.to_out[0](mixed.transpose(1, 2).flatten(2)))
