from __future__ import annotations

from typing import Any, ClassVar

from diffusers import DPMSolverMultistepScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel
from torch import Tensor

from fabric.generator import FabricGenerator
from tests.fabric.hosts.laws import A, HostLaws
from tests.fabric.hosts.tiny import SIDE, codec, ready, t5

WIDTH = 48


def build(**config: Any) -> PixArtAlphaPipeline:
    """A tiny PixArt."""
    tokenizer, text_encoder = t5(24)
    transformer = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=WIDTH // 2,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        cross_attention_dim=WIDTH,
        sample_size=SIDE // 2,
        caption_channels=24,
        **config,
    )
    return ready(
        PixArtAlphaPipeline(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=codec(shift_factor=None),
            transformer=transformer,
            scheduler=DPMSolverMultistepScheduler(),
        )
    )


class TestPixArt(HostLaws):
    options: ClassVar[dict[str, Any]] = {"use_resolution_binning": False, "clean_caption": False}

    def build(self) -> Any:
        return build()

    def test_models_of_large_images_are_told_the_size(self) -> None:
        pipe = build(use_additional_conditions=True)
        told: list[dict[str, Tensor]] = []
        pipe.transformer.register_forward_pre_hook(
            lambda module, args, kwargs: told.append(kwargs["added_cond_kwargs"]), with_kwargs=True
        )
        FabricGenerator(pipe)([self.request(liked=(A,))], 1, (SIDE, 2 * SIDE))
        assert [each["resolution"].tolist() for each in told] == [[[SIDE, 2 * SIDE]] * 2, [[SIDE, 2 * SIDE]]]
        assert [each["aspect_ratio"].tolist() for each in told] == [[[0.5]] * 2, [[0.5]]]
