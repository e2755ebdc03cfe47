from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from objectives.aesthetic import Aesthetic, fold
from objectives.base import Context, Objective
from objectives.checkpoints import MissingWeightsError
from objectives.embedders import OpenClipEmbedder
from objectives.testing import ObjectiveContract, sample_images
from tests.objectives.models import save_head


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return save_head(tmp_path / "head.pth", 16)


def _layers(path: Path) -> nn.Sequential:
    """The authors' form of the head: linear layers with dropout between them."""
    stored = torch.load(path, weights_only=True)
    parts: list[nn.Module] = []
    for place in (0, 2, 4):
        weight = stored[f"layers.{place}.weight"]
        parts += [nn.Linear(weight.shape[1], weight.shape[0]), nn.Dropout(0.2)]
    model = nn.Sequential(*parts)
    model.load_state_dict({name.removeprefix("layers."): value for name, value in stored.items()})
    return model.eval()


@torch.no_grad()
def test_folding_changes_nothing(head: Path) -> None:
    weight, offset = fold(torch.load(head, weights_only=True))
    x = torch.randn(9, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close((x.double() @ weight + offset).float(), _layers(head)(x)[:, 0], rtol=0, atol=1e-5)


@torch.no_grad()
def test_is_the_head_on_normalised_embeddings(head: Path, open_clip_folder: Path) -> None:
    embedder = OpenClipEmbedder(f"local-dir:{open_clip_folder}")
    images = sample_images(3)
    found = Aesthetic(str(head), embedder)(images, [Context()] * 3)
    assert found == pytest.approx(_layers(head)(embedder.images(images))[:, 0].tolist(), abs=1e-5)


def test_bad_heads_are_named(tmp_path: Path, open_clip_folder: Path) -> None:
    embedder = OpenClipEmbedder(f"local-dir:{open_clip_folder}")
    torch.save({"layers.0.weight": torch.zeros(2, 16), "layers.0.bias": torch.zeros(2)}, tmp_path / "two.pth")
    torch.save(nn.Linear(16, 1), tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("text")
    for name, reason in (("two.pth", "2 outputs"), ("code.pth", ""), ("text.pth", ""), ("none.pth", "does not exist")):
        with pytest.raises(MissingWeightsError, match=f"{name} cannot be read .*{reason}"):
            Aesthetic(str(tmp_path / name), embedder)(sample_images(1), [Context()])


class TestAesthetic(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _head(self, head: Path, open_clip_folder: Path) -> None:
        self.parts = str(head), f"local-dir:{open_clip_folder}"

    def make(self) -> Objective:
        return Aesthetic(self.parts[0], OpenClipEmbedder(self.parts[1]))
