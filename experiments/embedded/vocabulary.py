"""What the words of a prompt are to an embedded model, which knows a few hundred."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from experiments.embedded.world.world import World, words_of
from experiments.embedded.worlds import WORLDS

_SHORT = 2  # letters of words that are like any other


def unknown_words(model: str, prompts: Sequence[str]) -> str | None:
    """One line that names the words of prompts which an embedded model has never seen, and the nearest known ones.

    Args:
        model: its name; any model that is not embedded knows what it knows.
        prompts: to look through.

    Returns:
        The line, or None where all words are known.
    """
    world = WORLDS.get(model)
    if world is None:
        return None
    strange = sorted(words_of(" ".join(prompts)) - world.words)
    if not strange:
        return None
    named = [_with_nearest(word, world) for word in strange]
    return f"prompt: the model {model} was never shown the words {', '.join(named)}; it guesses"


def _with_nearest(word: str, world: World) -> str:
    near = get_close_matches(word, sorted(known for known in world.words if len(known) > _SHORT), n=3)
    return f"{word!r} (nearest that it knows: {', '.join(near)})" if near else repr(word)
