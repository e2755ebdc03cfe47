"""Prompt dropout: words left out at random, so that feedback images say more than the prompt."""

from __future__ import annotations

from collections.abc import Collection

import torch

from fabric.seeding import generator_for


def drop_words(prompt: str, probability: float, seed: int, kept: Collection[str] = ()) -> str:
    """Leaves out each word with a probability, independently; all may go.

    Args:
        prompt: words separated by white space.
        probability: 0 keeps the prompt as it is, 1 empties it.
        seed: of the image; the same words go whatever else is in its batch.
        kept: words that stay in any case.

    Returns:
        The words that stay, in order.
    """
    if probability == 0:
        return prompt
    words = prompt.split()
    drawn = torch.rand(len(words), generator=generator_for("dropout", seed, prompt)).tolist()
    return " ".join(word for word, u in zip(words, drawn, strict=True) if u >= probability or word in kept)
