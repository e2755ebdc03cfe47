"""Objectives that ask a predictor of rich feedback what people would say of an image."""

from __future__ import annotations

from collections.abc import Sequence

from PIL.Image import Image

from objectives.base import Context, Need, Objective
from objectives.rahf.predictor import RahfPredictor, RichPrediction


class _Predicted(Objective):
    """An objective that reads something off a prediction."""

    bounds = (0.0, 1.0)
    needs: frozenset[Need] = frozenset({"prompt"})

    def __init__(self, name: str, predictor: RahfPredictor) -> None:
        self.name = name
        self.predictor = predictor

    def prepare(self) -> None:
        """Reads the model."""
        self.predictor.prepare()

    def _predictions(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[RichPrediction]:
        return self.predictor(images, [context.prompt or "" for context in contexts]) if images else []


class PredictedScore(_Predicted):
    """A score that people would give an image, as a RAHF model predicts it (Liang et al. 2024, arXiv 2312.10240).

    Model: a `Rahf`. The authors' own is not published; `fabric-bo train-rahf` trains one on their data.
    Scale: 0 (worst) to 1, people's means of 1 to 5 brought to it.
    Gamed by: whatever looks sound to a model that saw few faults; plausibility and aesthetics by plain, empty pictures.

    Args:
        name: of the objective.
        predictor: the model.
        score: one of `objectives.richhf.SCORES`.
    """

    def __init__(self, name: str, predictor: RahfPredictor, score: str) -> None:
        super().__init__(name, predictor)
        self.score = score

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        return [found.scores[self.score] for found in self._predictions(images, contexts)]


class ArtifactArea(_Predicted):
    """How much of an image people would mark as implausible: the mean of a RAHF model's artifact map. Lower is better.

    Model: as of `PredictedScore`.
    Scale: 0 to 1; sound images are near 0.
    Gamed by: plain, empty pictures.
    """

    higher_is_better = False

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        return [float(found.artifact_map.mean()) for found in self._predictions(images, contexts)]
