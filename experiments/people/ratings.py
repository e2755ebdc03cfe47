"""Ratings of images by people, kept in the study of a run: appended, never changed, from any number of processes.

An image is rated for a prompt. What people are asked to rate is an item, known by its content, so equal images of equal
prompts are rated once, whichever trials made them, and a run that was killed asks for nothing twice.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from optuna.study import Study
from PIL import Image

from experiments.config.schema import RunConfig
from experiments.people.consensus import StarRating, consensus
from experiments.run.artifacts import FOLDER, Artifacts
from experiments.run.progress import Progress
from fabric.images import FeedbackImage
from objectives.base import UnratedError
from objectives.human import STARS

_ITEM, _RATING = "people:item:", "people:rating:"
_WAIT = 1.0  # seconds between two looks
_MOST_CHARACTERS = 60  # of a rater's name


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
    return hashlib.sha256(f"{FeedbackImage(picture).id} {prompt}".encode()).hexdigest()[:24]


def checked_name(rater: str) -> str:
    """A rater's name, without spaces around it.

    Raises:
        ValueError: it is empty or too long.
    """
    name = rater.strip()
    if not 0 < len(name) <= _MOST_CHARACTERS:
        raise ValueError(f"rater: {rater[:40]!r}; allowed: a name of 1 to {_MOST_CHARACTERS} characters")
    return name


class _Given:
    """All ratings that were given up to a moment.

    Args:
        ratings: in their order.
    """

    def __init__(self, ratings: Sequence[StarRating] = ()) -> None:
        self.ratings = ratings
        self.raters = defaultdict[str, set[str]](set)
        for rating in ratings:
            self.raters[rating.item].add(rating.rater)

    @cached_property
    def means(self) -> dict[str, float]:
        """What people think of each item."""
        return consensus(self.ratings).means


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
        self._given = _Given()
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
        self._given = _Given([_rating(value) for value in sorted(written, key=lambda value: value["at"])])

    @property
    def items(self) -> list[Item]:
        """All that people were asked to rate."""
        return list(self._items.values())

    @property
    def ratings(self) -> Sequence[StarRating]:
        """All that were given, in their order."""
        return self._given.ratings

    def raters_of(self) -> dict[str, set[str]]:
        """By item who rated it."""
        return self._given.raters

    def is_rated(self, item: str) -> bool:
        """Whether enough people have rated an item."""
        return len(self.raters_of()[item]) >= self.needed

    def left(self, items: Collection[str] | None = None) -> int:
        """Ratings that are still needed: of all items by default."""
        raters = self.raters_of()
        wanted = self._items if items is None else items
        return sum(max(0, self.needed - len(raters[item])) for item in wanted)

    def what_is_left(self, items: Collection[str] | None = None) -> str:
        """What a run waits for, in words; see `left`."""
        return f"waiting for {self.left(items)} ratings: fabric-bo rate {self.output}"

    def mean(self, image: Image.Image, prompt: str) -> float:
        """What people think of an image of a prompt; see `objectives.human.Ratings`."""
        item = item_id(image, prompt)
        if item not in self._items:
            self.artifacts.keep(_file(item), image)  # before the record that points to it
            self.study.set_user_attr(_ITEM + item, {"prompt": prompt})
            self._items[item] = Item(item, prompt)
        if not self.is_rated(item):
            raise UnratedError("human", (item,))
        return self._given.means[item]

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
        value = {"item": item, "rater": checked_name(rater), "stars": stars, "at": datetime.now(UTC).isoformat()}
        self.study.set_user_attr(_RATING + uuid.uuid4().hex, value)
        self.refresh()


def ratings_of(study: Study, config: RunConfig, artifacts: Artifacts) -> StudyRatings:
    """Those of a run.

    Args:
        study: of the run.
        config: of it; says how many people rate each image.
        artifacts: of it.
    """
    return StudyRatings(study, config.output, config.people.ratings, artifacts)


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
    while ratings.left(items):
        progress.doing(ratings.what_is_left(items))
        time.sleep(_WAIT)
        ratings.refresh()


def _rating(value: dict[str, Any]) -> StarRating:
    return StarRating(value["item"], value["rater"], float(value["stars"]))
