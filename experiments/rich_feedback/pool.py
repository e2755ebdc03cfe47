"""Labelled pictures as tensors, which a predictor of rich feedback is trained on.

Notation:
    N: pictures, H: side that a model scales them to, L: tokens of the longest prompt that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from objectives.pictures import to_rgb
from objectives.rahf.datasets import LabelledPicture
from objectives.rahf.predictor import Words, encode_words
from objectives.richhf import Heatmap


@dataclass(frozen=True)
class RichPool:
    """Pictures with what people say of them.

    Attributes:
        pixels: N x 3 x H x H bytes.
        ids: N x L tokens.
        mask: N x L, 0 for what only fills a row.
        scores: N x 4, of `objectives.richhf.SCORES`.
        maps: N x 2 x H x H bytes, 255 where something is marked by everybody.
        words: N x L, 1 for the first token of a misaligned word.
        known: N x L, 1 for the first token of any word.
    """

    pixels: Tensor
    ids: Tensor
    mask: Tensor
    scores: Tensor
    maps: Tensor
    words: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Tensor) -> RichPool:
        return RichPool(*(getattr(self, field.name)[rows] for field in fields(self)))


def filled(words: Words, length: int, filler: int) -> tuple[Tensor, Tensor]:
    """Tokens and mask of prompts, B x `length`, whatever the longest of them is.

    Args:
        words: of the prompts.
        length: L.
        filler: token that fills a row.
    """
    missing = length - words.ids.shape[1]
    return F.pad(words.ids, (0, missing), value=filler), F.pad(words.mask, (0, missing))


def word_marks(words: Words, misaligned: Sequence[Sequence[bool]], length: int) -> tuple[Tensor, Tensor]:
    """Which tokens begin a misaligned word, and which begin any word, B x `length` of 0 and 1.

    Args:
        words: of B prompts.
        misaligned: for each word of each prompt whether it is not shown.
        length: L.
    """
    marks, known = torch.zeros(2, len(misaligned), length)
    for row, (places, wrong) in enumerate(zip(words.first, misaligned, strict=True)):
        for place, missed in zip(places, wrong, strict=True):
            if place >= 0:
                known[row, place], marks[row, place] = 1.0, float(missed)
    return marks, known


def pool_of(labelled: Iterable[LabelledPicture], processor: Any, tokenizer: Any, side: int, length: int) -> RichPool:
    """Labelled pictures as a model sees them; all are kept in memory.

    Args:
        labelled: N pictures with labels.
        processor: of transformers, which brings pictures to H x H pixels.
        tokenizer: of transformers.
        side: H.
        length: L.

    Raises:
        ValueError: there are none.
    """
    rows = [_row(each, processor, tokenizer, side, length) for each in tqdm(labelled, desc="pictures", mininterval=2)]
    if not rows:
        raise ValueError("dataset: no picture with a label; allowed: one or more")
    return RichPool(*(torch.cat(parts) for parts in zip(*rows, strict=True)))


def _row(each: LabelledPicture, processor: Any, tokenizer: Any, side: int, length: int) -> tuple[Tensor, ...]:
    """A pool's tensors of one picture, in the order of its fields."""
    label, picture = each.label, to_rgb(each.picture)
    pixels = processor(images=[picture], return_tensors="pt", do_rescale=False, do_normalize=False).pixel_values
    words = encode_words(tokenizer, [label.prompt], length)
    maps = torch.stack([_scaled(marked, side) for marked in (label.artifact_map, label.misalignment_map)])
    return (
        pixels.round().clamp(0, 255).byte(),
        *filled(words, length, int(tokenizer.pad_token_id)),
        torch.tensor([label.scores], dtype=torch.float32),
        (255 * maps[None]).round().byte(),
        *word_marks(words, [label.misaligned], length),
    )


def _scaled(heatmap: Heatmap, side: int) -> Tensor:
    """A map of any size as H x H."""
    values = torch.from_numpy(heatmap).float()
    return F.interpolate(values[None, None], size=(side, side), mode="area")[0, 0].clamp(0, 1)
