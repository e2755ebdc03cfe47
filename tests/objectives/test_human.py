from __future__ import annotations

import statistics

import pytest
from PIL import ImageStat
from PIL.Image import Image

from objectives.base import Context, Objective, ObjectiveError, UnratedError
from objectives.combinators import Unit, WeightedSum
from objectives.human import HumanRating, mean_ratings
from objectives.plugins import FunctionObjective
from objectives.scoring import score
from objectives.testing import ObjectiveContract, sample_images


def test_ratings_become_means_with_their_standard_errors() -> None:
    found = mean_ratings({"a": [5, 3], "b": [2]})
    assert set(found) == {"a", "b"}
    assert (found["a"].mean, found["a"].count) == (0.75, 2)
    assert (found["b"].mean, found["b"].count) == (0.25, 1)
    pooled = ((2 * 0.2**2 + 2 * statistics.pvariance([1.0, 0.5])) / 3) ** 0.5
    assert found["b"].standard_error == pytest.approx(pooled)
    assert found["a"].standard_error == pytest.approx(pooled / 2**0.5)
    assert mean_ratings({}) == {}


def test_the_spread_of_many_raters_is_learnt() -> None:
    values = [1, 2, 3, 4, 5] * 40
    expected = statistics.stdev((value - 1) / 4 for value in values) / len(values) ** 0.5
    assert mean_ratings({"a": values})["a"].standard_error == pytest.approx(expected, rel=0.02)


class _Known:
    """People who have rated every image but some."""

    def __init__(self, unknown: frozenset[bytes] = frozenset()) -> None:
        self.unknown = unknown

    def mean(self, image: Image, prompt: str) -> float:
        if image.tobytes() in self.unknown:
            raise UnratedError("human", (f"{prompt} {image.tobytes()[0]}",))
        return 1 + 4 * ImageStat.Stat(image.convert("L")).mean[0] / 255


class TestHumanRating(ObjectiveContract):
    def make(self) -> Objective:
        return HumanRating("human", _Known)


def test_all_images_that_are_not_rated_are_asked_for_whatever_they_are_combined_with() -> None:
    images = sample_images(4)
    contexts = [Context("a star")] * 4
    ratings = _Known(frozenset(images[k].tobytes() for k in (1, 3)))
    human = HumanRating("human", lambda: ratings)
    other = FunctionObjective(lambda images, prompts: [0.5] * len(images), "other")
    for objective in (human, Unit(human), WeightedSum([other, Unit(human)])):
        assert objective.asks_people
        with pytest.raises(UnratedError) as error:
            score(objective, images, contexts)
        assert error.value.items == tuple(f"a star {images[k].tobytes()[0]}" for k in (1, 3))
    assert not other.asks_people
    rated = score(human, [images[0], images[2]], contexts[:2])
    assert rated == [ratings.mean(images[k], "a star") for k in (0, 2)]


def test_where_nobody_can_be_asked_that_is_said() -> None:
    with pytest.raises(ObjectiveError, match="human asks people; allowed: in fabric-bo optimize and compare"):
        score(HumanRating("human", lambda: None), sample_images(1), [Context("a star")])
