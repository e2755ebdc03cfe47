"""Objectives of rich feedback, of an untrained model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from objectives.base import Context, Objective
from objectives.rahf.predictor import RahfPredictor
from objectives.registry import create
from objectives.shared import SharedModels
from objectives.testing import ObjectiveContract, sample_images


class TestPredictedScore(ObjectiveContract):
    @pytest.fixture(autouse=True)
    def _folder(self, rahf_folder: Path) -> None:
        self.folder = str(rahf_folder)

    def make(self) -> Objective:
        return create("rahf-alignment", self.folder)


class TestArtifactArea(TestPredictedScore):
    def make(self) -> Objective:
        return create("artifact-area", self.folder)


def test_objectives_read_what_is_predicted_and_share_the_model(rahf_folder: Path) -> None:
    images, prompts, shared = sample_images(3), ["a red star", "a blue ring", ""], SharedModels()
    predicted = RahfPredictor(str(rahf_folder))(images, prompts)
    contexts = [Context(prompt) for prompt in prompts]
    names = ("rahf-plausibility", "rahf-alignment", "rahf-aesthetics", "rahf-overall", "artifact-area")
    objectives = [create(name, str(rahf_folder), shared=shared) for name in names]
    assert len({id(objective.predictor) for objective in objectives}) == 1  # type: ignore[attr-defined]
    for name, objective in zip(names[:4], objectives, strict=False):
        score = name.removeprefix("rahf-")
        assert objective(images, contexts) == pytest.approx([each.scores[score] for each in predicted])
    area = objectives[-1]
    assert not area.higher_is_better
    assert area(images, contexts) == pytest.approx([np.mean(each.artifact_map) for each in predicted])


def test_without_weights_it_is_said_what_makes_them() -> None:
    with pytest.raises(
        ValueError, match=r"^checkpoint: no weights of rahf-overall are published; allowed: .*train-rahf"
    ):
        create("rahf-overall")
