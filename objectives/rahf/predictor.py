"""Predictions of rich feedback from pictures and prompts; kept by content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from PIL.Image import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoTokenizer

from objectives.checkpoints import reading
from objectives.embedders import dtype_on
from objectives.keeping import look_up
from objectives.pictures import content_key, to_rgb
from objectives.rahf.model import Rahf
from objectives.richhf import SCORES, Heatmap, tokens, words_at

MISALIGNED = 0.5
"""Probability of a word from which it is called misaligned."""
_BATCH = 32
_KEPT = 2048  # predictions: 130 MB of maps at 64 pixels


@dataclass(frozen=True)
class RichPrediction:
    """What people would say of an image.

    Attributes:
        scores: by the names of `objectives.richhf.SCORES`, 0 to 1, higher is better.
        artifact_map: where it is implausible, H x H from 0 to 1.
        misalignment_map: where it is not what the prompt says, likewise.
        misaligned: for each word of `tokens(prompt)` the probability that it is not shown; 0 for words that the model
            does not read, since the prompt is too long.
    """

    scores: Mapping[str, float]
    artifact_map: Heatmap
    misalignment_map: Heatmap
    misaligned: tuple[float, ...]


Predictor = Callable[[Sequence[Image], Sequence[str]], Sequence[RichPrediction]]
"""From pictures and their prompts to what people would say; a `RahfPredictor` is one."""


@dataclass(frozen=True)
class Words:
    """Prompts as a model reads them.

    Attributes:
        ids: B x L.
        mask: B x L, 0 for what only fills a row.
        first: for each prompt the place of each word's first token; -1 for words that were cut off.
    """

    ids: Tensor
    mask: Tensor
    first: list[list[int]]


def missed_words(prompt: str, said: Sequence[RichPrediction]) -> frozenset[str]:
    """Words of a prompt, as blanks part them, that images do not show in the mean.

    Args:
        prompt: of all images.
        said: of each image; none give no words.
    """
    chances = np.mean([each.misaligned for each in said], axis=0).tolist() if said else []
    return words_at(prompt, [place for place, chance in enumerate(chances) if chance > MISALIGNED])


def encode_words(tokenizer: Any, prompts: Sequence[str], most: int) -> Words:
    """Prompts as tokens, and where their words are.

    Args:
        tokenizer: a fast one of transformers.
        prompts: B texts.
        most: tokens of a prompt.
    """
    words = [tokens(prompt) for prompt in prompts]
    options = {"padding": True, "truncation": True, "max_length": most, "return_tensors": "pt"}
    encoded = tokenizer(words, is_split_into_words=True, **options)
    first = []
    for row, its in enumerate(words):
        places: dict[int | None, int] = {}
        for place, word in enumerate(encoded.word_ids(row)):
            places.setdefault(word, place)
        first.append([places.get(number, -1) for number in range(len(its))])
    return Words(encoded.input_ids, encoded.attention_mask, first)


class RahfPredictor:
    """A `Rahf` with its preprocessing.

    Args:
        checkpoint: folder with the model, its image processor and its tokenizer, or a hub id of such.
        device: of the model.
    """

    def __init__(self, checkpoint: str, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self.device = torch.device(device)
        self._kept: LRUCache[tuple[str, str], RichPrediction] = LRUCache(_KEPT)

    @cached_property
    def _parts(self) -> tuple[Rahf, Any, Any]:
        with reading(self.checkpoint, "a hub id or a folder of a RAHF model"):
            model = Rahf.from_pretrained(self.checkpoint).eval().to(self.device, dtype_on(self.device))
            processor = AutoImageProcessor.from_pretrained(self.checkpoint)
            # With the configuration, which transformers would otherwise read anew and not know.
            return model, processor, AutoTokenizer.from_pretrained(self.checkpoint, config=model.config)

    def prepare(self) -> None:
        """Reads model, image processor and tokenizer."""
        _ = self._parts

    @torch.no_grad()
    def __call__(self, images: Sequence[Image], prompts: Sequence[str]) -> list[RichPrediction]:
        """What people would say of images.

        Args:
            images: of any mode and size.
            prompts: one for each of them.
        """
        keys = [(prompt, content_key(image)) for prompt, image in zip(prompts, images, strict=True)]
        pairs = list(zip(prompts, images, strict=True))
        return look_up(self._kept, keys, pairs, self._predict, _BATCH)

    def _predict(self, pairs: list[tuple[str, Image]]) -> list[RichPrediction]:
        model, processor, tokenizer = self._parts
        words = encode_words(tokenizer, [prompt for prompt, _ in pairs], model.config.max_words)
        pixels = processor(images=[to_rgb(image) for _, image in pairs], return_tensors="pt").pixel_values
        pixels = pixels.to(self.device, dtype_on(self.device))
        output = model(pixels, words.ids.to(self.device), words.mask.to(self.device))
        scores, maps, marks = (part.float().sigmoid().cpu() for part in (output.scores, output.maps, output.words))
        return [
            RichPrediction(
                dict(zip(SCORES, scores[row].tolist(), strict=True)),
                maps[row, 0].numpy().astype(np.float64),
                maps[row, 1].numpy().astype(np.float64),
                tuple(float(marks[row, place]) if place >= 0 else 0.0 for place in first),
            )
            for row, first in enumerate(words.first)
        ]
