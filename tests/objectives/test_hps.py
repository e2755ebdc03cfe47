from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image

from experiments.training.trainer import seeded
from objectives.base import Context, Objective
from objectives.hps import HumanPreferenceScore
from objectives.testing import ObjectiveContract, sample_images
from tests.objectives.models import OPEN_CLIP

NAME = "tiny-for-hps"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the form of HPS': a dictionary with the weights under `state_dict`."""
    folder = tmp_path_factory.mktemp("hps")
    path = folder / "hps.pt"
    (folder / f"{NAME}.json").write_text(json.dumps(OPEN_CLIP))
    open_clip.add_model_config(folder / f"{NAME}.json")
    with seeded(0):
        model = open_clip.create_model(NAME)
    torch.save({"state_dict": model.state_dict()}, path)
    return path


@torch.no_grad()
def test_is_the_cosine_on_padded_pictures(weights: Path) -> None:
    wide = sample_images(1, (100, 50))[0]
    model = open_clip.create_model(NAME, pretrained=str(weights)).eval()
    square = Image.new("RGB", (28, 28))
    square.paste(wide.resize((28, 14), Image.Resampling.BICUBIC), (0, 7))
    _, preprocess = open_clip.create_model_from_pretrained(NAME, str(weights))
    text = model.encode_text(open_clip.get_tokenizer(NAME)(["a red star"]), normalize=True)
    expected = float(model.encode_image(preprocess(square)[None], normalize=True)[0] @ text[0])
    found = HumanPreferenceScore(str(weights), NAME)([wide], [Context("a red star")])
    assert found == pytest.approx([expected], abs=1e-5)


class TestHps(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _weights(self, weights: Path) -> None:
        self.weights = str(weights)

    def make(self) -> Objective:
        return HumanPreferenceScore(self.weights, NAME)
