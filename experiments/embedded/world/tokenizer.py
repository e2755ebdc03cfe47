"""A CLIP tokenizer with a small vocabulary: every byte, and the words of the captions as single tokens."""

from __future__ import annotations

import json
from functools import cache

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

from experiments.embedded.world.world import World
from fabric.seeding import generator_for

_END = "</w>"


@cache
def _merges(world: World) -> tuple[tuple[str, str], ...]:
    """Byte-pair merges, learnt on captions of a world that the CLIP tokenizer's own rules split into words."""
    generator = generator_for("tokenizer")
    scenes = world.sample(3000, generator)
    texts = world.random_captions(scenes, generator, dict.fromkeys(world.names, 0.7))
    splitter = CLIPTokenizer().backend_tokenizer
    tokenizer = Tokenizer(BPE(end_of_word_suffix=_END))
    tokenizer.normalizer, tokenizer.pre_tokenizer = splitter.normalizer, splitter.pre_tokenizer
    trainer = BpeTrainer(vocab_size=2000, end_of_word_suffix=_END, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return tuple(tuple(merge) for merge in model["merges"])


def build_tokenizer(world: World, max_length: int) -> CLIPTokenizer:
    """The tokenizer of generator and judges.

    Unknown words fall apart into bytes, as in CLIP; the end-of-text token has the highest id, which CLIP's pooling
    by argmax asks for.

    Args:
        world: whose captions it is for.
        max_length: tokens of a text, start and end counted in.

    Returns:
        A tokenizer that `save_pretrained` writes in the usual layout.
    """
    merges = _merges(world)
    alphabet = sorted(ByteLevel.alphabet())
    words = [*alphabet, *(letter + _END for letter in alphabet)]
    words += ["".join(merge) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys(words))}
    return CLIPTokenizer(vocab=vocabulary, merges=list(merges), model_max_length=max_length)
