"""Predictions of an untrained model, from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from objectives.checkpoints import MissingWeightsError
from objectives.rahf.predictor import RahfPredictor, RichPrediction, encode_words, missed_words
from objectives.richhf import SCORES, tokens
from objectives.testing import sample_images

PROMPTS = ["a red star, at night", "a blue ring"]


def test_every_word_has_its_first_token() -> None:
    tokenizer = build_tokenizer(SCENES, 12)
    words = encode_words(tokenizer, ["a red xylophone star", "ring"], 12)
    first = words.first[0]
    assert [tokenizer.decode(words.ids[0, place]).strip() for place in first[:2]] == ["a", "red"]
    assert first == sorted(first)
    assert len(first) == 4
    assert int(words.mask[1].sum()) < int(words.mask[0].sum())
    cut = encode_words(tokenizer, ["red " * 40], 12)
    assert cut.ids.shape == (1, 12)
    assert cut.first[0][-1] == -1


def test_predictions_are_in_range_and_do_not_depend_on_the_batch(rahf_folder: Path) -> None:
    images = sample_images(2)
    predictor = RahfPredictor(str(rahf_folder))
    together = predictor(images, PROMPTS)
    alone = [
        RahfPredictor(str(rahf_folder))([image], [prompt])[0] for image, prompt in zip(images, PROMPTS, strict=True)
    ]
    for one, other, prompt in zip(together, alone, PROMPTS, strict=True):
        assert one.scores.keys() == set(SCORES)
        assert all(0 <= score <= 1 for score in one.scores.values())
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
        assert one.artifact_map.shape == one.misalignment_map.shape == (64, 64)
        assert one.artifact_map.min() >= 0
        assert len(one.misaligned) == len(tokens(prompt))
        assert one.misaligned == pytest.approx(other.misaligned, abs=1e-5)
    assert predictor(images[:1], PROMPTS[1:])[0].scores != together[0].scores
    assert predictor(images, PROMPTS)[0] is together[0]


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="allowed: a hub id or a folder of a RAHF model"):
        RahfPredictor(str(tmp_path / "nowhere")).prepare()


def test_a_word_is_missed_where_images_do_not_show_it_in_the_mean() -> None:
    def says(*chances: float) -> RichPrediction:
        return RichPrediction({}, np.zeros((2, 2)), np.zeros((2, 2)), chances)

    prompt = "red, red-hot star at night!"  # tokens: red, red-hot, star, at, night
    found = missed_words(prompt, [says(0.9, 0.1, 0.2, 0.0, 0.6), says(0.3, 0.1, 0.9, 0.0, 0.6)])
    assert found == {"red,", "star", "night!"}
    assert missed_words("star star", [says(0.1, 0.9)]) == {"star"}
    assert missed_words(prompt, []) == frozenset()
    assert missed_words("red\tstar", [says(0.1)]) == frozenset()
