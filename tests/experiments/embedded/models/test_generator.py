from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from experiments.embedded.models.codec import build_codec
from experiments.embedded.models.generator import (
    CONTEXT,
    assemble,
    build_text_encoder,
    build_unet,
    save_generator,
)
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.training.trainer import seeded

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("generator")]

WIDTH = 16


@pytest.fixture(scope="module")
def codec() -> AutoencoderKL:
    with seeded(1):
        return build_codec((8, 8, 8)).eval()


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    with seeded(2):
        return build_unet((16, 16), WIDTH).eval()


@pytest.fixture(scope="module")
def text_encoder() -> CLIPTextModel:
    with seeded(3):
        return build_text_encoder(WIDTH, len(build_tokenizer(SCENES, CONTEXT))).eval()


@pytest.fixture(scope="module")
def pipeline(codec: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> StableDiffusionPipeline:
    one = assemble(codec, unet, text_encoder, build_tokenizer(SCENES, CONTEXT))
    one.set_progress_bar_config(disable=True)
    return one


def paint(pipeline: StableDiffusionPipeline, prompt: str, seed: int = 0) -> np.ndarray:
    """One picture, 64 x 64 x 3, in three steps."""
    return pipeline(
        prompt,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images[0]


def test_unet_keeps_the_shape_and_attends_at_every_resolution() -> None:
    channels = (16, 32)
    with seeded(0), torch.no_grad():
        unet = build_unet(channels, WIDTH).eval()
        latents, states = torch.randn(2, 4, 16, 16), torch.randn(2, 7, WIDTH)
        time = torch.tensor([10, 900])
        predicted = unet(latents, time, states).sample
        other_text = unet(latents, time, torch.randn(2, 7, WIDTH)).sample
        other_time = unet(latents, time.flip(0), states).sample
    assert predicted.shape == latents.shape
    assert (predicted - other_text).abs().max() > 1e-6
    assert (predicted - other_time).abs().max() > 1e-6
    names = set(unet.attn_processors)
    for block in ("down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.0", "up_blocks.1"):
        for kind in ("attn1", "attn2"):  # self- and cross-attention
            assert any(name.startswith(block) and f".{kind}." in name for name in names)


def test_text_encoder_pools_at_the_first_end_of_text(text_encoder: CLIPTextModel) -> None:
    tokenizer = build_tokenizer(SCENES, CONTEXT)
    texts = ["a red star at night", "one circle", ""]
    ids = tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        output = text_encoder(ids)
    assert output.last_hidden_state.shape == (3, CONTEXT, WIDTH)
    for row, end in enumerate([6, 3, 1]):
        assert torch.equal(output.pooler_output[row], output.last_hidden_state[row, end])


def test_text_encoder_has_an_embedding_for_every_token(text_encoder: CLIPTextModel) -> None:
    tokenizer = build_tokenizer(SCENES, CONTEXT)
    assert text_encoder.config.vocab_size == len(tokenizer)
    assert text_encoder.config.bos_token_id == tokenizer.bos_token_id
    assert text_encoder.config.eos_token_id == tokenizer.eos_token_id
    assert text_encoder.config.pad_token_id == tokenizer.pad_token_id
    assert text_encoder.config.max_position_embeddings == tokenizer.model_max_length


def test_the_pipeline_paints_a_picture(pipeline: StableDiffusionPipeline) -> None:
    picture = paint(pipeline, "a red star at night")
    assert picture.shape == (64, 64, 3)
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0
    assert np.array_equal(picture, paint(pipeline, "a red star at night"))
    assert not np.array_equal(picture, paint(pipeline, "a blue moon in snow"))
    assert not np.array_equal(picture, paint(pipeline, "a red star at night", seed=1))


def test_a_saved_pipeline_paints_the_same_up_to_half_precision(
    pipeline: StableDiffusionPipeline, tmp_path: Path
) -> None:
    picture = paint(pipeline, "a red star")
    save_generator(pipeline, tmp_path)
    assert next(pipeline.unet.parameters()).dtype == torch.float32
    loaded = StableDiffusionPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert type(loaded.scheduler) is type(pipeline.scheduler)
    assert np.abs(paint(loaded, "a red star") - picture).max() < 0.02
    assert (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").exists()
