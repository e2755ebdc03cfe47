from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
from diffusers.models.attention_processor import SanaLinearAttnProcessor2_0
from tokenizers.processors import TemplateProcessing
from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

from fabric.attention import SeenReferences
from fabric.generator import FabricGenerator
from fabric.hosts.sana import LinearProjector
from fabric.processor import FabricAttnProcessor, Group, ShownReferences
from tests.fabric.hosts.laws import A, B, HostLaws
from tests.fabric.hosts.tiny import LETTERS, SIDE, ready


def _gemma() -> tuple[GemmaTokenizer, Gemma2Model]:
    vocabulary = {piece: place for place, piece in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "▁", *LETTERS])}
    config = Gemma2Config(
        vocab_size=len(vocabulary),
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=[])
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    return tokenizer, Gemma2Model(config)


def _codec() -> AutoencoderDC:
    return AutoencoderDC(
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_out_channels=(8, 16),
        decoder_block_out_channels=(8, 16),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
        scaling_factor=0.5,
    )


class TestSana(HostLaws):
    options: ClassVar[dict[str, Any]] = {"use_resolution_binning": False, "clean_caption": False}
    rounding = 1e-5  # diffusers computes linear attention in single precision

    def build(self) -> Any:
        tokenizer, text_encoder = _gemma()
        transformer = SanaTransformer2DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=4,
            attention_head_dim=8,
            num_layers=2,
            num_cross_attention_heads=2,
            cross_attention_head_dim=16,
            cross_attention_dim=32,
            caption_channels=24,
            sample_size=SIDE // 2,
            qk_norm="rms_norm_across_heads",
        )
        return ready(
            SanaPipeline(
                tokenizer=tokenizer,
                text_encoder=text_encoder,
                vae=_codec(),
                transformer=transformer,
                scheduler=DPMSolverMultistepScheduler(
                    use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
                ),
            )
        )

    @torch.no_grad()
    def test_weight_one_is_concatenation(self, pipe: Any) -> None:
        """The layer's own processor, given the reference's tokens as further ones to attend to."""
        attn = pipe.transformer.transformer_blocks[0].attn1
        own, references = torch.randn(1, 6, 32), torch.randn(2, 7, 32)
        processor = FabricAttnProcessor(LinearProjector())
        processor.own = SanaLinearAttnProcessor2_0()
        attn.set_processor(processor)
        processor.records = True
        attn(references)
        kept = processor.recorded
        processor.clear()
        assert kept is not None
        assert kept.shape == (2, 4, 9, 8)
        group = Group(slice(0, 1), SeenReferences(slice(0, 2), torch.zeros(1, 2, 1)))
        processor.shown = ShownReferences(tuple(kept), (group,))
        joined = torch.cat([own, references.flatten(0, 1)[None]], dim=1)
        expected = SanaLinearAttnProcessor2_0()(attn, own, encoder_hidden_states=joined)
        torch.testing.assert_close(attn(own), expected)

    def test_what_is_kept_does_not_grow_with_the_image(self, pipe: Any) -> None:
        sizes = []
        for side in (SIDE, 2 * SIDE):
            fabric = FabricGenerator(pipe)
            fabric([self.request(liked=(A, B))], 1, (side, side))
            sizes.append(fabric.bank.bytes)
        assert sizes == [2 * 2 * 4 * 9 * 8 * 4] * 2

    def test_sprint_is_refused(self, pipe: Any) -> None:
        pipe.transformer.register_to_config(guidance_embeds=True)
        with pytest.raises(ValueError, match="pipeline: the noise of Sana Sprint is of another kind; allowed: Sana"):
            FabricGenerator(pipe)
