from __future__ import annotations

from pathlib import Path

import pytest
from PIL.Image import Image
from torch import Tensor

from objectives.base import Context
from objectives.checkpoints import at_hand, how_to_get
from objectives.embedders import OpenClipEmbedder
from objectives.registry import BUILT_IN, create
from objectives.shared import SharedModels
from objectives.testing import sample_images


@pytest.mark.parametrize(
    ("name", "model"),
    [(name, model) for name, entry in BUILT_IN.items() for model in entry.embedded],
)
def test_the_embedded_judges_stand_in(name: str, model: str) -> None:
    others = tuple(sample_images(1, seed=3))
    objective = create(name, model=model)
    assert objective.name == name
    context = Context("a red star", others, others, others)
    assert len(set(objective(sample_images(2), [context, context]))) == (1 if objective.of_batch else 2)


def test_names_and_checkpoints_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"objective: 'beauty' is unknown; allowed: pickscore, .*module:attribute"):
        create("beauty")
    with pytest.raises(ValueError, match=r"there is no embedded model for hps; allowed with embedded: pickscore"):
        create("hps", "embedded")
    with pytest.raises(ValueError, match=r"no embedded-emoji model for pickscore; allowed with .*: clip-target"):
        create("pickscore", "embedded-emoji")
    with pytest.raises(ValueError, match=r"embedded does not know pictures of the model embedded-emoji; allowed: emb"):
        create("clip-target", "embedded", model="embedded-emoji")
    with pytest.raises(ValueError, match=r"checkpoint: m:f is a plug-in"):
        create("m:f", "embedded")


def test_what_is_at_hand_is_said(tmp_path: Path) -> None:
    assert at_hand("embedded")
    assert at_hand(f"local-dir:{tmp_path}")
    assert not at_hand(f"local-dir:{tmp_path}/none")
    assert not at_hand("owner/no-such-model")
    assert how_to_get("yuvalkirstain/PickScore_v1") == "hf download yuvalkirstain/PickScore_v1"
    assert how_to_get("ViT-L-14-336-quickgelu/openai").startswith("hf download timm/vit_large_patch14_clip_336.openai")
    assert how_to_get("xswu/HPSv2/HPS_v2.1_compressed.pt") == "hf download xswu/HPSv2 HPS_v2.1_compressed.pt"
    assert how_to_get("embedded") == how_to_get(str(tmp_path)) == ""


def test_objectives_share_one_model_and_embed_an_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, counts = SharedModels(), list[int]()
    names = ("clip-target", "clip-prompt", "diversity")
    objectives = [create(name, "embedded", shared=shared) for name in names]
    embed = OpenClipEmbedder._embed_images

    def counted(self: OpenClipEmbedder, images: list[Image]) -> Tensor:
        counts.append(len(images))
        return embed(self, images)

    monkeypatch.setattr(OpenClipEmbedder, "_embed_images", counted)
    images = sample_images(3)
    contexts = [Context("a red star", targets=(images[0],))] * 3
    scores = [objective(images, contexts) for objective in objectives]
    assert sum(counts) == 3
    for name, values in zip(names, scores, strict=True):
        assert create(name, "embedded")(images, contexts) == values
