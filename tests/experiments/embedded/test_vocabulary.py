from __future__ import annotations

import pytest

from experiments.embedded.vocabulary import unknown_words
from experiments.embedded.world.scenes.world import SCENES
from fabric.seeding import generator_for


def test_no_word_of_a_training_caption_is_strange() -> None:
    generator = generator_for("known")
    assert unknown_words("embedded", SCENES.random_captions(SCENES.sample(500, generator), generator)) is None
    assert unknown_words("embedded", ["", "A Red STAR, at night!"]) is None


def test_strange_words_are_named_with_the_nearest_known_ones() -> None:
    assert unknown_words("embedded", ["a purple starr at night", "a dragon, purple starr"]) == (
        "prompt: the model embedded was never shown the words 'dragon' (nearest that it knows: drawing), "
        "'starr' (nearest that it knows: star); it guesses"
    )
    assert unknown_words("embedded", ["on xylophones"]) == (
        "prompt: the model embedded was never shown the words 'xylophones'; it guesses"
    )


@pytest.mark.parametrize("word", ["striped", "hills", "large"])
def test_what_captions_never_say_is_strange(word: str) -> None:
    said = unknown_words("embedded", [f"a {word} star"])
    assert said is not None
    assert repr(word) in said


def test_other_models_know_what_they_know() -> None:
    assert unknown_words("owner/model", ["a dragon"]) is None
