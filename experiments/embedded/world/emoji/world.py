"""The emoji world: a thing by one of five hands, on a backdrop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from experiments.embedded.cache import read_cache, write_cache
from experiments.embedded.world.emoji.art import SETS, fetch, read_art
from experiments.embedded.world.emoji.concepts import CONCEPTS
from experiments.embedded.world.emoji.draw import BACKDROPS, EDGES, JITTER, SCALES, draw
from experiments.embedded.world.world import Scenes, World, words_of

# One (concept, hand) in fifteen is never shown to the generator in training.
_HELD_OUT_EVERY = 15
_EDGE_WORDS = {"none": "", "outline": "with an outline", "shadow": "with a shadow"}
# Shares of training captions that name the thing in the plural, and by another word where there is one.
_PLURAL, _SYNONYM = 0.15, 0.25
WORDS = {words[0]: words for words in CONCEPTS.values()}


def plural(word: str) -> str:
    """The plural of an English noun phrase, as far as the concepts need it."""
    head, _, of = word.partition(" of ")
    if of:
        return f"{plural(head)} of {of}"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith("f"):
        return word[:-1] + "ves"
    return word if word.endswith("s") and not word.endswith("us") else word + ("es" if _hisses(word) else "s")


def _hisses(word: str) -> bool:
    return word.endswith(("s", "x", "ch", "sh"))


class EmojiWorld(World):
    """What CONCEPTS, SETS and BACKDROPS hold, drawn in every way.

    Args:
        art: C x 5 x 4 x 64 x 64 bytes, RGBA, as `read_art` returns it. Captions need none.
    """

    name = "emoji"
    attributes: Mapping[str, tuple[str, ...]] = {
        "concept": tuple(WORDS),
        "hand": tuple(SETS),
        "backdrop": tuple(BACKDROPS),
        "edge": EDGES,
        "size": tuple(SCALES),
    }
    full_prompt = ("concept", "hand", "backdrop")
    short_prompt = ("concept",)
    unsaid = style = ("hand", "backdrop")
    structure = ("edge", "size")
    said: Mapping[str, float] = {"concept": 1.0, "hand": 0.5, "backdrop": 0.4, "edge": 0.15, "size": 0.15}
    openings = ("a", "a", "the", "", "one", "a picture of a", "an emoji of a")
    faint: Mapping[str, float] = {"concept": 2.0, "hand": 3.0}
    jitter = JITTER

    def __init__(self, art: Tensor | None = None) -> None:
        self._art = art

    @cached_property
    def _scales(self) -> Tensor:
        return torch.tensor(list(SCALES.values()))

    @cached_property
    def words(self) -> frozenset[str]:
        """See `World`; with other words for the things, and plurals."""
        things = [word for words in WORDS.values() for word in words]
        return super().words | words_of(" ".join([*things, *map(plural, things)]))

    def is_held_out(self, scenes: Scenes) -> Tensor:
        """See `World`; every concept is seen by at least four hands, every hand with most concepts."""
        return (scenes.column("concept") + 3 * scenes.column("hand")) % _HELD_OUT_EVERY == 0

    def render(self, scenes: Scenes) -> Tensor:
        """See `World`.

        Raises:
            FileNotFoundError: the world was made without its pictures, which are not shipped.
        """
        if self._art is None:
            raise FileNotFoundError("the emoji sets are not shipped: python -m experiments.embedded emoji brings them")
        art = self._art[scenes.column("concept"), scenes.column("hand")]
        backdrop, edge = scenes.column("backdrop"), scenes.column("edge")
        return draw(art, backdrop, edge, self._scales[scenes.column("size")], scenes.jitter)

    def caption(self, values: Mapping[str, str], said: tuple[str, ...], opening: str = "a") -> str:
        """See `World`; for example "a small glossy fox on mint"."""
        return _phrase(values, said, opening, values["concept"])

    def captions_stating(self, scenes: Scenes, said: Tensor, generator: torch.Generator) -> list[str]:
        """See `World`; openings vary, and so does the word for the thing, which is now and then in the plural."""
        chances = torch.rand(len(scenes), 4, generator=generator).tolist()
        return [
            self._varied(self.values_of(scenes, row), names, *chances[row])
            for row, names in enumerate(self.names_of(said))
        ]

    def _varied(
        self, values: Mapping[str, str], said: tuple[str, ...], several: float, other: float, which: float, begin: float
    ) -> str:
        """A caption as the four numbers in [0, 1) decide."""
        words, opening = WORDS[values["concept"]], self.openings[int(begin * len(self.openings))]
        others = words[1:] if other < _SYNONYM and len(words) > 1 else words[:1]
        word = others[int(which * len(others))]
        if several < _PLURAL:
            return _phrase(values, said, opening.removesuffix("a").rstrip() if opening != "one" else "", plural(word))
        return _phrase(values, said, opening, word)


def _phrase(values: Mapping[str, str], said: tuple[str, ...], opening: str, thing: str) -> str:
    word = {name: value if name in said else "" for name, value in values.items()}
    noun = (word["size"], word["hand"], thing if word["concept"] else "thing")
    words = " ".join(filter(None, [opening, *noun])).split(" ")
    for place, following in enumerate(words[1:]):
        if words[place] == "a" and following[0] in "aeiou":
            words[place] = "an"
    backdrop = f"on {word['backdrop']}" if word["backdrop"] else ""
    return " ".join(filter(None, [*words, backdrop, _EDGE_WORDS.get(word["edge"], "")]))


def emoji_world(folder: Path) -> EmojiWorld:
    """The emoji world with its pictures, which are brought and drawn where `folder` does not hold them yet.

    Args:
        folder: of the archives, and of the drawings made of them.

    Raises:
        FileNotFoundError: npm or resvg-py is missing; the message says which command brings what is missing.
        ValueError: an archive is not the one that is pinned.
    """
    path, key = folder / "art.safetensors", ", ".join(f"{p.name} {p.version}" for p in SETS.values())
    key = f"{key}, {len(CONCEPTS)} concepts"
    stored = read_cache(path, key)
    if stored is None:
        fetch(folder)
        stored = {"art": read_art(folder)}
        write_cache(path, key, stored)
    return EmojiWorld(stored["art"])
