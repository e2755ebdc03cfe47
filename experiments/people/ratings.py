"""Ratings of images by people, from one to five stars.

An image is rated for a prompt. What people are asked to rate is an item, known by its content, so equal images of equal
prompts are rated once, whichever trials made them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from optuna.study import Study
from PIL import Image

from experiments.people.consensus import StarRating, consensus
from experiments.people.questions import Answered, Questions, answers_in, content_id
from experiments.run.artifacts import Artifacts
from fabric.images import FeedbackImage
from objectives.base import UnratedError
from objectives.human import STARS

_ITEM, _RATING = "people:item:", "people:rating:"


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
    return content_id(f"{FeedbackImage(picture).id} {prompt}")


class _Given:
    """All ratings that were given up to a moment.

    Args:
        ratings: in their order.
    """

    def __init__(self, ratings: Sequence[StarRating] = ()) -> None:
        self.ratings = ratings

    @cached_property
    def means(self) -> dict[str, float]:
        """What people think of each item."""
        return consensus(self.ratings).means


class StudyRatings(Questions):
    """What people think of the images of a run; see `objectives.human.Ratings` and `Questions`."""

    wanted = "ratings"

    def __init__(self, study: Study, output: Path, needed: int = 1, artifacts: Artifacts | None = None) -> None:
        self._items: dict[str, Item] = {}
        self._given = _Given()
        super().__init__(study, output, needed, artifacts)

    def _read(self, attributes: Mapping[str, Any]) -> None:
        self._items = {
            name.removeprefix(_ITEM): Item(name.removeprefix(_ITEM), value["prompt"])
            for name, value in attributes.items()
            if name.startswith(_ITEM)
        }
        self._given = _Given([_rating(value) for value in answers_in(attributes, _RATING)])

    @property
    def items(self) -> list[Item]:
        """All that people were asked to rate."""
        return list(self._items.values())

    @property
    def asked(self) -> Collection[str]:
        """Ids of the items."""
        return self._items.keys()

    @property
    def ratings(self) -> Sequence[StarRating]:
        """All that were given, in their order."""
        return self._given.ratings

    @property
    def answered(self) -> Sequence[Answered]:
        """See `Questions`."""
        return [Answered(rating.item, rating.rater) for rating in self.ratings]

    def shown(self, question: str, rater: str) -> dict[str, Any]:
        """An item; see `Questions`."""
        return {"item": self._items[question]._asdict()}

    def mean(self, image: Image.Image, prompt: str) -> float:
        """What people think of an image of a prompt; see `objectives.human.Ratings`."""
        item = item_id(image, prompt)
        if item not in self._items:
            self._keep(item, image)
            self.study.set_user_attr(_ITEM + item, {"prompt": prompt})
            self._items[item] = Item(item, prompt)
        if not self.is_answered(item):
            raise UnratedError("human", (item,))
        return self._given.means[item]

    def add(self, question: str, rater: str, answer: int) -> None:
        """Keeps a rating: an item's stars; see `Questions`."""
        low, high = STARS
        self._check_known("item", question, lambda: self._items)
        if isinstance(answer, bool) or not isinstance(answer, int) or not low <= answer <= high:
            raise ValueError(f"stars: {answer!r}; allowed: a whole number from {low} to {high}")
        self._append(_RATING, rater, {"item": question, "stars": answer})


def _rating(value: dict[str, Any]) -> StarRating:
    return StarRating(value["item"], value["rater"], float(value["stars"]))
