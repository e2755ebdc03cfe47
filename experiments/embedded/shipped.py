"""The shipped files: where each model is written and how it is read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from experiments.embedded.models.classifier import AttributeClassifier
from objectives.rahf.predictor import RahfPredictor

# For each world: folder of each of its models, below the root of the repository.
FOLDERS = {
    "scenes": {
        "generator": Path("fabric/embedded"),
        "clip": Path("objectives/embedded/clip"),
        "preference": Path("objectives/embedded/preference"),
        "rahf": Path("objectives/embedded/rahf"),
        "classifier": Path("experiments/embedded/weights/classifier"),
    },
    "emoji": {
        "generator": Path("fabric/embedded-emoji"),
        "clip": Path("objectives/embedded-emoji/clip"),
        "classifier": Path("experiments/embedded/weights/emoji-classifier"),
    },
    "folder": {"generator": Path("generator"), "clip": Path("clip")},  # one's own; not shipped, below any root
}
_HISTORY = "training.json"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Judge:
    """The CLIP judge, ready to compare pictures in [-1, 1]."""

    model: open_clip.CLIP
    tokenizer: Any

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Unit embeddings, B x 64. The judge's own mean and deviation of 0.5 make its input range [-1, 1]."""
        return torch.cat([self.model.encode_image(part, normalize=True) for part in images.split(256)])

    @torch.no_grad()
    def embed_text(self, texts: list[str]) -> Tensor:
        """Unit embeddings of texts, B x 64."""
        return self.model.encode_text(self.tokenizer(texts), normalize=True)

    def similarity(self, images: Tensor, others: Tensor) -> Tensor:
        """Cosines of N with M pictures, N x M."""
        return self.embed(images) @ self.embed(others).T


@dataclass(frozen=True)
class Preference:
    """The preference judge with its tokenizer."""

    model: CLIPModel
    tokenizer: CLIPTokenizer

    @torch.no_grad()
    def score(self, prompts: list[str], images: Tensor) -> Tensor:
        """`exp(logit_scale) * cosine` of each prompt with its picture in [-1, 1], the formula of PickScore; shape B."""
        tokens = self.tokenizer(prompts, padding=True, truncation=True, return_tensors="pt")
        out = self.model(**tokens, pixel_values=images)
        cosine = F.cosine_similarity(out.text_embeds, out.image_embeds)
        return self.model.logit_scale.exp() * cosine


def read_generator(root: Path = ROOT, world: str = "scenes") -> StableDiffusionPipeline:
    """The shipped pipeline of a world in float32, without a progress bar."""
    folder = _folder(root, world, "generator")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def read_clip(root: Path = ROOT, world: str = "scenes") -> Judge:
    """The shipped CLIP judge of a world in float32."""
    name = f"local-dir:{_folder(root, world, 'clip')}"
    model, _ = open_clip.create_model_from_pretrained(name)
    return Judge(model.eval(), open_clip.get_tokenizer(name))


def read_preference(root: Path = ROOT) -> Preference:
    """The shipped preference judge, which only the scenes have, in float32."""
    folder = _folder(root, "scenes", "preference")
    return Preference(CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder))


def read_rahf(root: Path = ROOT) -> RahfPredictor:
    """The shipped predictor of rich feedback, which only the scenes have."""
    return RahfPredictor(str(_folder(root, "scenes", "rahf")))


def read_classifier(root: Path = ROOT, world: str = "scenes") -> AttributeClassifier:
    """The shipped classifier of a world in float32."""
    return AttributeClassifier.from_pretrained(_folder(root, world, "classifier"), dtype=torch.float32).eval()


def _folder(root: Path, world: str, model: str) -> Path:
    folder = root / FOLDERS[world][model]
    if not any(folder.rglob("*.safetensors")):
        raise FileNotFoundError(f"no trained {model} in {folder}: run the training stages first")
    return folder


def write_history(folder: Path, part: str, history: dict[str, Any]) -> None:
    """Records how a part of a model was trained beside its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _HISTORY).write_text(json.dumps({**read_history(folder), part: history}, indent=2) + "\n")


def read_history(folder: Path) -> dict[str, Any]:
    """How the parts of a model were trained, by part; see `write_history`."""
    path = folder / _HISTORY
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return known


def total_bytes(root: Path = ROOT) -> int:
    """Size of all shipped weights, of all worlds."""
    folders = (root / folder for world in ("scenes", "emoji") for folder in FOLDERS[world].values())
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*.safetensors"))
