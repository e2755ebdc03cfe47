"""Models that objectives share: one of a checkpoint and device, and every image is put through it once."""

from __future__ import annotations

from objectives.checkpoints import locate
from objectives.embedders import DinoEmbedder, OpenClipEmbedder
from objectives.human import Ratings
from objectives.rahf.predictor import RahfPredictor


class SharedModels:
    """Models by checkpoint and device, each made when it is first asked for.

    Attributes:
        ratings: of images by people; None where nobody can be asked.
    """

    def __init__(self) -> None:
        self._clips: dict[tuple[str, str], OpenClipEmbedder] = {}
        self._dinos: dict[tuple[str, str], DinoEmbedder] = {}
        self._rahfs: dict[tuple[str, str], RahfPredictor] = {}
        self.ratings: Ratings | None = None

    def clip(self, checkpoint: str, device: str) -> OpenClipEmbedder:
        """A CLIP."""
        return self._clips.setdefault((checkpoint, device), OpenClipEmbedder(checkpoint, device))

    def dino(self, checkpoint: str, device: str) -> DinoEmbedder:
        """A DINOv2."""
        return self._dinos.setdefault((checkpoint, device), DinoEmbedder(checkpoint, device))

    def rahf(self, checkpoint: str, device: str) -> RahfPredictor:
        """A predictor of rich feedback."""
        return self._rahfs.setdefault((checkpoint, device), RahfPredictor(locate(checkpoint, "rahf"), device))
