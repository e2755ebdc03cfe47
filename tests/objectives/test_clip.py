from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, Dinov2Model

from objectives.base import Context, Objective
from objectives.checkpoints import MissingWeightsError
from objectives.clip import Diversity, PictureSimilarity, PromptSimilarity
from objectives.embedders import DinoEmbedder, OpenClipEmbedder
from objectives.testing import ObjectiveContract, sample_images


@pytest.fixture
def embedder(open_clip_folder: Path) -> OpenClipEmbedder:
    return OpenClipEmbedder(f"local-dir:{open_clip_folder}")


@torch.no_grad()
def _by_hand(folder: Path, image: Image.Image) -> Tensor:
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    embedding = model.eval().encode_image(preprocess(image)[None])[0]
    return embedding / embedding.norm()


IMAGES = [*sample_images(3), *sample_images(2, (90, 50), seed=2)]


def test_similarity_to_pictures_is_the_mean_cosine(embedder: OpenClipEmbedder, open_clip_folder: Path) -> None:
    others = tuple(sample_images(3, seed=5))
    own = [_by_hand(open_clip_folder, image) for image in IMAGES]
    expected = [sum(float(one @ _by_hand(open_clip_folder, other)) for other in others) / len(others) for one in own]
    for need, context in (
        ("target", Context(targets=others)),
        ("liked", Context(liked=others)),
        ("disliked", Context(disliked=others)),
    ):
        objective = PictureSimilarity("x", embedder, need)  # type: ignore[arg-type]
        assert objective(IMAGES, [context] * 5) == pytest.approx(expected, abs=1e-5)
        assert objective.higher_is_better == (need != "disliked")


@torch.no_grad()
def test_similarity_to_the_prompt_is_the_cosine(embedder: OpenClipEmbedder, open_clip_folder: Path) -> None:
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{open_clip_folder}")
    tokenize = open_clip.get_tokenizer(f"local-dir:{open_clip_folder}")
    prompts = ["a red star", "a blue ring at night", "", "a red star", "a heart " * 90]
    expected = []
    for prompt, image in zip(prompts, IMAGES, strict=True):
        text = model.eval().encode_text(tokenize([prompt]))[0]
        expected.append(float(_by_hand(open_clip_folder, image) @ (text / text.norm())))
    found = PromptSimilarity("x", embedder)(IMAGES, [Context(prompt) for prompt in prompts])
    assert found == pytest.approx(expected, abs=1e-5)


def test_diversity_is_one_minus_the_mean_over_pairs(embedder: OpenClipEmbedder, open_clip_folder: Path) -> None:
    own = [_by_hand(open_clip_folder, image) for image in IMAGES]
    groups = [0, 0, 0, 1, 1]
    first = sum(float(own[i] @ own[j]) for i, j in ((0, 1), (0, 2), (1, 2))) / 3
    expected = [first] * 3 + [float(own[3] @ own[4])] * 2
    contexts = [Context(group=group) for group in groups]
    assert Diversity("x", embedder, similarity=True)(IMAGES, contexts) == pytest.approx(expected, abs=1e-5)
    assert Diversity("x", embedder)(IMAGES, contexts) == pytest.approx([1 - e for e in expected], abs=1e-5)
    assert Diversity("x", embedder)(IMAGES[:1], contexts[:1]) == [0.0]
    assert Diversity("x", embedder)([IMAGES[0]] * 3, contexts[:3]) == pytest.approx([0.0] * 3, abs=1e-5)


@torch.no_grad()
def test_dino_is_the_class_token(dino_folder: Path) -> None:
    model, processor = Dinov2Model.from_pretrained(dino_folder), AutoImageProcessor.from_pretrained(dino_folder)
    tokens = [model.eval()(**processor(images=image, return_tensors="pt")).last_hidden_state[0, 0] for image in IMAGES]
    expected = torch.nn.functional.normalize(torch.stack(tokens), dim=-1)
    torch.testing.assert_close(DinoEmbedder(str(dino_folder)).images(IMAGES), expected, rtol=0, atol=1e-5)


def test_embeddings_are_computed_once(embedder: OpenClipEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    compute = embedder._embed_images

    def count(images: list[Image.Image]) -> Tensor:
        calls.append(len(images))
        return compute(images)

    monkeypatch.setattr(embedder, "_embed_images", count)
    target = sample_images(1, seed=7)[0]
    objective = PictureSimilarity("x", embedder)
    for _ in range(3):
        objective(IMAGES, [Context(targets=(target.copy(),))] * 5)
    assert calls == [5, 1]


def test_preprocessing_is_the_models_own(open_clip_folder: Path) -> None:
    wide = sample_images(1, (200, 40))[0]
    cropped = OpenClipEmbedder(f"local-dir:{open_clip_folder}")
    padded = OpenClipEmbedder(f"local-dir:{open_clip_folder}", resize_mode="longest")
    torch.testing.assert_close(cropped.images([wide])[0], _by_hand(open_clip_folder, wide))
    fitted = wide.resize((28, 6), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (28, 28))
    square.paste(fitted, (0, 11))
    assert float(padded.images([wide])[0] @ _by_hand(open_clip_folder, square)) > 0.999
    assert float(padded.images([wide])[0] @ cropped.images([wide])[0]) < 0.999


@pytest.mark.parametrize(
    "checkpoint", ["ViT-L-14-336-quickgelu/openai", "no-such-model/openai", "hf-hub:owner/name", "local-dir:/nowhere"]
)
def test_missing_weights_are_named(checkpoint: str) -> None:
    with pytest.raises(MissingWeightsError, match=r"checkpoint: .* cannot be read .* allowed: an open_clip NAME/TAG"):
        OpenClipEmbedder(checkpoint).images(IMAGES)


class _WithEmbedder(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _embedder(self, open_clip_folder: Path) -> None:
        self.checkpoint = f"local-dir:{open_clip_folder}"

    def embedder(self) -> OpenClipEmbedder:
        return OpenClipEmbedder(self.checkpoint)


class TestTarget(_WithEmbedder):
    def make(self) -> Objective:
        return PictureSimilarity("clip-target", self.embedder())


class TestDisliked(_WithEmbedder):
    def make(self) -> Objective:
        return PictureSimilarity("clip-disliked", self.embedder(), "disliked")


class TestPrompt(_WithEmbedder):
    def make(self) -> Objective:
        return PromptSimilarity("clip-prompt", self.embedder())


class TestDiversity(_WithEmbedder):
    def make(self) -> Objective:
        return Diversity("diversity", self.embedder())


class TestBatchSimilarity(_WithEmbedder):
    def make(self) -> Objective:
        return Diversity("batch-similarity", self.embedder(), similarity=True)


class TestDino(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _folder(self, dino_folder: Path) -> None:
        self.folder = dino_folder

    def make(self) -> Objective:
        return PictureSimilarity("dino-target", DinoEmbedder(str(self.folder)))
