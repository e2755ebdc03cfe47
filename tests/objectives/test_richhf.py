from __future__ import annotations

import json
import math

import numpy as np
import pytest

from objectives.richhf import SCORES, RichRating, aggregate, heatmap, tokens

PROMPT = 'a red star, at night: "soft" light'


def rating(rater: str = "ann", **changes: object) -> RichRating:
    values = {"plausibility": 3, "alignment": 4, "aesthetics": 5, "overall": 1, **changes}
    return RichRating(rater=rater, prompt=PROMPT, **values)  # type: ignore[arg-type]


def test_words_are_split_as_in_the_dataset() -> None:
    assert tokens(PROMPT) == ["a", "red", "star", "at", "night", "soft", "light"]
    assert tokens("") == []


@pytest.mark.parametrize("size", [(512, 512), (300, 500)])
def test_a_point_is_a_disc_of_the_effective_radius(size: tuple[int, int]) -> None:
    found = heatmap([(0.5, 0.5)], size)
    assert found.sum() == pytest.approx(math.pi * (size[0] / 20) ** 2, rel=0.02)
    rows, columns = np.nonzero(found)
    assert rows.mean() + 0.5 == pytest.approx(size[0] / 2)
    assert columns.mean() + 0.5 == pytest.approx(size[1] / 2)
    assert heatmap([(0.5, 0.5)], size, radius=0.1).sum() == pytest.approx(4 * found.sum(), rel=0.03)


def test_points_unite_and_none_give_zeros() -> None:
    size = (512, 512)
    assert heatmap([], size).sum() == 0
    assert heatmap([(0.2, 0.2), (0.21, 0.2)], size).max() == 1
    apart = heatmap([(0.2, 0.2), (0.8, 0.8)], size)
    assert apart.sum() == heatmap([(0.2, 0.2)], size).sum() + heatmap([(0.8, 0.8)], size).sum()
    assert 0 < heatmap([(0, 1)], size).sum() < heatmap([(0.5, 0.5)], size).sum()


def test_ratings_survive_json() -> None:
    one = rating(artifact_points=((0.25, 1),), misalignment_points=((0, 0.5), (1, 1)), misaligned_words=(0, 6))
    assert RichRating.model_validate(json.loads(json.dumps(one.model_dump(mode="json")))) == one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({name: 0}, f"^1 .*\n{name}\n.*greater than or equal to 1") for name in SCORES),
        *(({name: 6}, f"^1 .*\n{name}\n.*less than or equal to 5") for name in SCORES),
        ({"artifact_points": ((0.5, 1.2),)}, r"artifact_points.0.1\n.*less than or equal to 1"),
        ({"misaligned_words": (7,)}, "misaligned_words: 7; allowed: 0 to 6"),
        ({"mood": 3}, "mood\n.*not permitted"),
    ],
)
def test_bad_ratings_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RichRating.model_validate({**rating().model_dump(), **changes})


def test_raters_are_put_together() -> None:
    def rating(rater: str, overall: int, words: tuple[int, ...], points: tuple[tuple[float, float], ...]) -> RichRating:
        return RichRating(
            rater=rater,
            prompt="a red star",
            plausibility=5,
            alignment=3,
            aesthetics=1,
            overall=overall,
            misaligned_words=words,
            artifact_points=points,
        )

    ratings = [rating("ann", 1, (1,), ((0.5, 0.5),)), rating("bob", 2, (1, 2), ()), rating("cat", 2, (), ())]
    label = aggregate(ratings, (20, 20))
    assert label.scores == pytest.approx((1.0, 0.5, 0.0, (0 + 0.25 + 0.25) / 3))
    assert label.misaligned == (False, True, False)
    assert label.artifact_map.max() == pytest.approx(1 / 3)
    assert label.misalignment_map.max() == 0
    with pytest.raises(ValueError, match="ratings: of 0 prompts; allowed: one or more of one prompt"):
        aggregate([], (20, 20))
