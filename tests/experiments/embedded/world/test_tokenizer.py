import itertools
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from fabric.seeding import generator_for

LENGTH = 32


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return build_tokenizer(SCENES, LENGTH)


def texts_of_all_detail() -> list[str]:
    generator = generator_for("texts")
    scenes = SCENES.sample(200, generator)
    some = SCENES.random_captions(scenes, generator, dict.fromkeys(SCENES.names, 0.5))
    return [*SCENES.captions(scenes, SCENES.names), *SCENES.random_captions(scenes, generator), *some]


def test_each_word_of_a_caption_is_one_token(tokenizer: CLIPTokenizer) -> None:
    texts = texts_of_all_detail()
    words = {word for text in texts for word in re.findall(r"\w+|,", text)}
    assert len(words) > 50
    ids = [tokenizer(word, add_special_tokens=False).input_ids for word in sorted(words)]
    assert all(len(one) == 1 for one in ids)
    assert len({one[0] for one in ids}) == len(words)
    for text in texts:
        count = len(re.findall(r"\w+|,", text))
        assert len(tokenizer(text).input_ids) == count + 2
        assert count + 2 <= LENGTH


def test_vocabulary_is_small_and_without_gaps(tokenizer: CLIPTokenizer) -> None:
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(tokenizer)))
    assert 512 < len(tokenizer) < 1000


def test_argmax_finds_the_first_end_of_text(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    assert tokenizer.bos_token_id == tokenizer.eos_token_id - 1
    texts = ["", "a red star", "a star, on the left", "word " * 100]
    ids = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert ids.shape == (4, LENGTH)
    assert (ids[:, 0] == tokenizer.bos_token_id).all()
    assert ids.argmax(1).tolist() == [1, 4, 7, LENGTH - 1]
    assert (ids.max(1).values == tokenizer.eos_token_id).all()


def test_context_bounds_the_length() -> None:
    short = build_tokenizer(SCENES, 8)
    assert short.model_max_length == 8
    ids = short("a red star at night, on the left", truncation=True).input_ids
    assert len(ids) == 8
    assert ids[-1] == short.eos_token_id


@settings(max_examples=50)
@given(words=st.lists(st.text(st.characters(categories=["Ll"], max_codepoint=0x24F), min_size=1)))
def test_unknown_words_survive(tokenizer: CLIPTokenizer, words: list[str]) -> None:
    text = " ".join(words)
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True).split() == text.split()


def test_case_and_spaces_do_not_matter(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer("A  Red\tSTAR ").input_ids == tokenizer("a red star").input_ids
    assert tokenizer("a red star").input_ids != tokenizer("a star red").input_ids


def test_different_captions_have_different_tokens(tokenizer: CLIPTokenizer) -> None:
    texts = sorted(set(texts_of_all_detail()))
    ids = [tuple(tokenizer(text).input_ids) for text in texts]
    assert len(set(ids)) == len(texts) > 300


def test_building_again_gives_the_same_tokenizer(tokenizer: CLIPTokenizer) -> None:
    before = torch.get_rng_state()
    again = build_tokenizer(SCENES, LENGTH)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert torch.equal(before, torch.get_rng_state())


def test_a_saved_tokenizer_reads_the_same(tokenizer: CLIPTokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    texts = [*texts_of_all_detail()[::20], "zebra über 42!", "", "word " * 100]
    options = {"padding": "max_length", "truncation": True}
    assert loaded(texts, **options).input_ids == tokenizer(texts, **options).input_ids
    for name in ("model_max_length", "bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(loaded, name) == getattr(tokenizer, name)
    for one in itertools.islice(texts, 3):
        assert loaded.decode(loaded(one).input_ids) == tokenizer.decode(tokenizer(one).input_ids)
