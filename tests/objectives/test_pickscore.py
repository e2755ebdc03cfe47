from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL.Image import Image
from transformers import AutoImageProcessor, CLIPModel, CLIPTokenizer

from objectives.base import Context, Objective
from objectives.checkpoints import MissingWeightsError
from objectives.pickscore import PickScore
from objectives.scoring import score
from objectives.testing import ObjectiveContract, sample_images

PROMPTS = ["a red star at night", "a blue ring", "a red star at night", "", "a heart " * 60]


@torch.no_grad()
def _by_hand(folder: Path, prompt: str, image: Image) -> float:
    """The PickScore recipe, one image at a time: projections and normalisation written out."""
    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder)
    pixels = AutoImageProcessor.from_pretrained(folder)(images=image, return_tensors="pt").pixel_values
    tokens = tokenizer(prompt, truncation=True, max_length=77, return_tensors="pt")
    vision = model.visual_projection(model.vision_model(pixels).pooler_output)[0]
    text = model.text_projection(model.text_model(**tokens).pooler_output)[0]
    return float(model.logit_scale.exp() * (vision / vision.norm()) @ (text / text.norm()))


def test_equals_the_recipe(clip_model_folder: Path) -> None:
    images = [*sample_images(3), *sample_images(2, (90, 50), seed=2)]
    found = PickScore(str(clip_model_folder))(images, [Context(prompt) for prompt in PROMPTS])
    expected = [_by_hand(clip_model_folder, prompt, image) for prompt, image in zip(PROMPTS, images, strict=True)]
    assert found == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 4) for value in found}) == 5


def test_missing_weights_say_what_to_do() -> None:
    with pytest.raises(MissingWeightsError) as caught:
        PickScore().prepare()
    with pytest.raises(MissingWeightsError, match="PickScore_v1 cannot be read"):
        score(PickScore(), sample_images(2), [Context("a star")] * 2)
    message = str(caught.value)
    assert message.startswith("checkpoint: yuvalkirstain/PickScore_v1 cannot be read (")
    assert "to get it: hf download yuvalkirstain/PickScore_v1; meanwhile: pickscore, clip-prompt or clip" in message
    assert "\n" not in message


def test_a_missing_processor_is_named_and_not_the_weights(clip_model_folder: Path) -> None:
    processor = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
    with pytest.raises(MissingWeightsError, match=f"^checkpoint: {processor} cannot be read") as caught:
        PickScore(str(clip_model_folder), processor).prepare()
    assert f"to get it: hf download {processor};" in str(caught.value)


class TestPickScore(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _folder(self, clip_model_folder: Path) -> None:
        self.folder = clip_model_folder

    def make(self) -> Objective:
        return PickScore(str(self.folder))


class TestEmbeddedPickScore(ObjectiveContract):
    def make(self) -> Objective:
        return PickScore("embedded")
