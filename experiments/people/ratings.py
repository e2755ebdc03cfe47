"""Ratings of images by people, kept in the study of a run: appended, never changed, from any number of processes.

An image is rated for a prompt. What people are asked to rate is an item, known by its content, so equal images of equal
prompts are rated once, whichever trials made them, and a run that was killed asks for nothing twice.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from optuna.study import Study
from PIL import Image

from experiments.people.consensus import StarRating, means
from experiments.run.artifacts import FOLDER, Artifacts
from experiments.run.progress import Progress
from fabric.images import to_rgb
from objectives.base import UnratedError
from objectives.human import STARS

_ITEM, _RATING = "people:item:", "people:rating:"
_WAIT = 1.0  # seconds between two looks
MOST_CHARACTERS = 60  # of a rater's name


class Item(NamedTuple):
    """What people are asked to rate.

    Attributes:
        id: of its content.
        prompt: what the image was asked for with.
    """

    id: str
    prompt: str


def item_id(picture: Image.Image, prompt: str) -> str:
    """Name of a picture of a prompt, by content."""
    pixels = to_rgb(picture)
    digest = hashlib.sha256(f"{pixels.size} {prompt}".encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()[:24]


class StudyRatings:
    """What people think of the images of a run; see `objectives.human.Ratings`.

    Args:
        study: of the run; keeps items and ratings as user attributes of their own.
        output: folder of the run.
        needed: people who must have rated an image until it has a score.
        artifacts: keep the pictures; in the run's folder by default.
    """

    def __init__(self, study: Study, output: Path, needed: int = 1, artifacts: Artifacts | None = None) -> None:
        self.study = study
        self.output = output
        self.artifacts = artifacts or Artifacts(output / FOLDER)
        self.needed = needed
        self._items: dict[str, Item] = {}
        self._ratings: list[StarRating] = []
        self._means: dict[str, float] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads what was written since, by others too."""
        attributes = self.study.user_attrs
        self._items = {
            name.removeprefix(_ITEM): Item(name.removeprefix(_ITEM), value["prompt"])
            for name, value in attributes.items()
            if name.startswith(_ITEM)
        }
        written = [value for name, value in attributes.items() if name.startswith(_RATING)]
        self._ratings = [_rating(value) for value in sorted(written, key=lambda value: value["at"])]
        self._means = means(self._ratings)

    @property
    def items(self) -> list[Item]:
        """All that people were asked to rate."""
        return list(self._items.values())

    @property
    def ratings(self) -> Sequence[StarRating]:
        """All that were given, in their order."""
        return self._ratings

    def raters_of(self) -> dict[str, set[str]]:
        """By item who rated it."""
        found = defaultdict[str, set[str]](set)
        for rating in self._ratings:
            found[rating.item].add(rating.rater)
        return found

    def is_rated(self, item: str) -> bool:
        """Whether enough people have rated an item."""
        return len(self.raters_of()[item]) >= self.needed

    def left(self, items: Collection[str] | None = None) -> int:
        """Ratings that are still needed: of all items by default."""
        raters = self.raters_of()
        wanted = self._items if items is None else items
        return sum(max(0, self.needed - len(raters[item])) for item in wanted)

    def mean(self, image: Image.Image, prompt: str) -> float:
        """What people think of an image of a prompt; see `objectives.human.Ratings`."""
        item = item_id(image, prompt)
        if item not in self._items:
            self.artifacts.keep(_file(item), image)  # before the record that points to it
            self.study.set_user_attr(_ITEM + item, {"prompt": prompt})
            self._items[item] = Item(item, prompt)
        if not self.is_rated(item):
            raise UnratedError("human", (item,))
        return self._means[item]

    def path(self, item: str) -> Path:
        """File of an item's picture."""
        return self.artifacts.path(_file(item))

    def add(self, item: str, rater: str, stars: int) -> None:
        """Keeps a rating; a second one of the same item by the same rater tells how steady he is.

        Raises:
            ValueError: there is no such item, or rating or name are out of range.
        """
        low, high = STARS
        if item not in self._items:
            self.refresh()
        if item not in self._items:
            raise ValueError(f"item: {item[:40]!r} is unknown; allowed: one that the page showed")
        if isinstance(stars, bool) or not isinstance(stars, int) or not low <= stars <= high:
            raise ValueError(f"stars: {stars!r}; allowed: a whole number from {low} to {high}")
        if not 0 < len(rater.strip()) <= MOST_CHARACTERS:
            raise ValueError(f"rater: {rater[:40]!r}; allowed: a name of 1 to {MOST_CHARACTERS} characters")
        value = {"item": item, "rater": rater.strip(), "stars": stars, "at": datetime.now(UTC).isoformat()}
        self.study.set_user_attr(_RATING + uuid.uuid4().hex, value)
        self.refresh()

    def counts(self) -> Counter[str]:
        """Ratings by rater."""
        return Counter(rating.rater for rating in self._ratings)


def _file(item: str) -> str:
    """Name of the artifact that an item's picture is."""
    return f"rated-{item}.png"


def wait_for(ratings: StudyRatings, items: Collection[str], progress: Progress) -> None:
    """Waits until people have rated some items.

    Args:
        ratings: of a run.
        items: names of the items.
        progress: says what it waits for.
    """
    while left := ratings.left(items):
        progress.doing(f"waiting for {left} ratings: fabric-bo rate {ratings.output}")
        time.sleep(_WAIT)
        ratings.refresh()


def _rating(value: dict[str, Any]) -> StarRating:
    return StarRating(value["item"], value["rater"], float(value["stars"]))
