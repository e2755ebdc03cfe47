"""Images that were shown, and the rounds that they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fabric.params import FabricParams


@dataclass(frozen=True)
class ShownImage:
    """An image that was shown: one trial.

    Attributes:
        id: of the image, by its content.
        trial: its number.
        values: the trial's parameters.
        round: 0 for the first of its line.
        place: in the round.
        seed: of its generation.
        prompt: that was asked for.
        negative_prompt: likewise.
        params: it was made with.
        liked: ids of its references.
        disliked: likewise.
        wish: id of the `MoreLike` or `Variations` that its round followed, if any.
        attention: share of the self-attention that each reference received, by id, a mean over the steps; empty for
            images of before it was kept.
        count: images of its round, which is only there with all of them; 0 where that was not kept.
        line: of rounds that it is on; see `history.lines`.
        seen_from: round that the ages of its references count from, where that is not its own: of a variation that of
            the image which it varies.
    """

    id: str
    trial: int
    values: dict[str, float]
    round: int
    place: int
    seed: int
    prompt: str
    negative_prompt: str
    params: FabricParams
    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    wish: str | None = None
    attention: Mapping[str, float] = field(default_factory=dict)
    count: int = 0
    line: str = ""
    seen_from: int | None = None

    @property
    def ages_from(self) -> int:
        """Round that the ages of its references count from."""
        return self.round if self.seen_from is None else self.seen_from

    def to_attributes(self) -> dict[str, Any]:
        """User attributes of its trial; `of` reads them."""
        return {
            "image": self.id,
            "round": self.round,
            "place": self.place,
            "seed": self.seed,
            "prompt": self.prompt,
            "negative prompt": self.negative_prompt,
            "params": self.params.to_dict(),
            "liked": list(self.liked),
            "disliked": list(self.disliked),
            "asked": self.wish,
            "attention": dict(self.attention),
            "count": self.count,
            "line": self.line,
            "seen from": self.seen_from,
        }

    @classmethod
    def of(cls, number: int, values: dict[str, Any], attributes: dict[str, Any]) -> ShownImage:
        """What a trial of these values and user attributes showed."""
        return cls(
            attributes["image"],
            number,
            dict(values),
            attributes["round"],
            attributes["place"],
            attributes["seed"],
            attributes["prompt"],
            attributes["negative prompt"],
            FabricParams.from_dict(attributes["params"]),
            tuple(attributes["liked"]),
            tuple(attributes["disliked"]),
            attributes["asked"],
            attributes.get("attention", {}),
            attributes.get("count", 0),
            attributes.get("line", ""),
            attributes.get("seen from"),
        )


Round: TypeAlias = tuple[ShownImage, ...]
"""Images that were shown together, in their places; a picture that came out twice is there once."""


def rounds_of(shown: Iterable[ShownImage]) -> tuple[Round, ...]:
    """Whole rounds of all lines, as they were made; of one that was broken off and made again the later images count.

    Args:
        shown: in any order.
    """
    rounds: dict[tuple[str, int], dict[int, ShownImage]] = defaultdict(dict)
    for image in sorted(shown, key=lambda image: image.trial):
        rounds[image.line, image.round][image.place] = image
    found = []
    for places in rounds.values():
        images: dict[str, ShownImage] = {}
        for _, image in sorted(places.items()):
            images.setdefault(image.id, image)
        if all(len(places) >= image.count for image in images.values()):
            found.append(tuple(images.values()))
    return tuple(found)
