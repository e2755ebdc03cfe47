from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.embedded.models.preference import build_image_processor
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.rich_feedback.pool import pool_of
from objectives.rahf.datasets import LabelledPicture
from objectives.richhf import RichLabel


def _labelled(prompt: str, missed: tuple[bool, ...], side: int = 128) -> LabelledPicture:
    marked = np.zeros((side, side))
    marked[: side // 2] = 1.0
    label = RichLabel(prompt, (0.25, 0.5, 0.75, 1.0), marked, 0 * marked, missed)
    return LabelledPicture(Image.new("RGB", (side, side), (255, 0, 128)), label)


def test_pictures_maps_and_words_are_as_a_model_sees_them() -> None:
    tokenizer = build_tokenizer(SCENES, 12)
    labelled = [_labelled("a red star", (False, True, False)), _labelled("ring", (True,))]
    pool = pool_of(labelled, build_image_processor(), tokenizer, side=64, length=12)
    assert len(pool) == 2
    assert pool.pixels.shape == (2, 3, 64, 64)
    assert pool.pixels[0, :, 5, 5].tolist() == [255, 0, 128]
    assert torch.equal(pool.maps[:, 0], torch.tensor([255] * 32 + [0] * 32).byte()[None, :, None].expand(2, 64, 64))
    assert int(pool.maps[:, 1].max()) == 0
    assert pool.scores.tolist() == [[0.25, 0.5, 0.75, 1.0]] * 2
    assert [tokenizer.decode(row[marks > 0]).strip() for row, marks in zip(pool.ids, pool.words, strict=True)] == [
        "red",
        "ring",
    ]
    assert pool.known.sum(dim=1).tolist() == [3, 1]
    assert ((pool.words <= pool.known) & (pool.known <= pool.mask)).all()


def test_no_pictures_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"^dataset: no picture with a label"):
        pool_of([], build_image_processor(), build_tokenizer(SCENES, 12), 64, 12)
