"""The LAION aesthetic score: a linear function of a CLIP embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from PIL.Image import Image
from torch import Tensor

from objectives.base import Context, Objective
from objectives.checkpoints import fetch, reading
from objectives.embedders import Embedder, OpenClipEmbedder

HEAD = "camenduru/improved-aesthetic-predictor/sac+logos+ava1-l14-linearMSE.pth"
CLIP = "ViT-L-14-quickgelu/openai"


class Aesthetic(Objective):
    """Linear head on the normalised CLIP embedding (Schuhmann 2022, LAION).

    Source: github.com/christophschuhmann/improved-aesthetic-predictor.
    Model: OpenAI's CLIP ViT-L/14 and the head `sac+logos+ava1-l14-linearMSE.pth`, five linear layers without
        activations, which are one linear function; it is folded to a vector and an offset.
    Scale: about 1 to 10 by training, not bounded; Stable Diffusion gives 5 to 6.5.
    Licence: Apache-2.0 (head), MIT (CLIP).
    Gamed by: dramatic light, fantasy landscapes and portraits, whatever the prompt; does not read it.

    Args:
        head: a file, or OWNER/NAME/FILE on the hub; a state dictionary of linear layers, read without running code.
        embedder: the CLIP that the head was trained on.
    """

    name = "aesthetic"

    def __init__(self, head: str = HEAD, embedder: Embedder | None = None) -> None:
        self.head = head
        self.embedder = embedder or OpenClipEmbedder(CLIP)

    @cached_property
    def _linear(self) -> tuple[Tensor, Tensor]:
        with reading(self.head, "a file of linear layers, or OWNER/NAME/FILE on the hub"):
            layers = torch.load(fetch(self.head), map_location="cpu", weights_only=True)
            return fold(layers)

    def prepare(self) -> None:
        """Reads head and CLIP."""
        _ = self._linear
        self.embedder.prepare()

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        if not images:
            return []
        weight, offset = self._linear
        return (self.embedder.images(images).double() @ weight + offset).tolist()


def fold(layers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Linear layers without activations as one.

    Args:
        layers: `layers.K.weight` (out x in) and `layers.K.bias` of successive layers; the last has one output.

    Returns:
        Weights D and offset, float64.

    Raises:
        ValueError: the layers do not fit each other or have more than one output.
    """
    places = sorted(int(name.split(".")[1]) for name in layers if name.endswith(".weight"))
    weight, bias = torch.eye(0), torch.zeros(0)
    for place in places:
        own, offset = (layers[f"layers.{place}.{part}"].double() for part in ("weight", "bias"))
        weight, bias = (own @ weight, own @ bias + offset) if len(weight) else (own, offset)
    if len(weight) != 1:
        raise ValueError(f"head: {len(weight)} outputs; allowed: linear layers with one output")
    return weight[0], bias[0]
