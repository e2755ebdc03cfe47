from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from objectives.richhf import MAPS, SCORES, RichRating, aggregate, from_richhf, heatmap, standardise, to_richhf, tokens

PROMPT = 'a red star, at night: "soft" light'


def rating(rater: str = "ann", **changes: object) -> RichRating:
    values = {"plausibility": 3, "alignment": 4, "aesthetics": 5, "overall": 1, **changes}
    return RichRating(rater=rater, prompt=PROMPT, **values)  # type: ignore[arg-type]


def test_words_are_split_as_in_the_dataset() -> None:
    assert tokens(PROMPT) == ["a", "red", "star", "at", "night", "soft", "light"]
    assert tokens("") == []


def test_scores_are_standardised_and_averaged() -> None:
    assert [standardise(value) for value in range(1, 6)] == [0, 0.25, 0.5, 0.75, 1]
    label = aggregate([rating(), rating("bob", plausibility=4, overall=2)])
    assert label.scores == {"plausibility": 0.625, "alignment": 0.75, "aesthetics": 1.0, "overall": 0.125}


@pytest.mark.parametrize("size", [(512, 512), (300, 500)])
def test_a_point_is_a_disc_of_the_effective_radius(size: tuple[int, int]) -> None:
    found = heatmap([(0.5, 0.5)], size)
    assert found.sum() == pytest.approx(math.pi * (size[0] / 20) ** 2, rel=0.02)
    rows, columns = np.nonzero(found)
    assert rows.mean() + 0.5 == pytest.approx(size[0] / 2)
    assert columns.mean() + 0.5 == pytest.approx(size[1] / 2)
    assert heatmap([(0.5, 0.5)], size, radius=0.1).sum() == pytest.approx(4 * found.sum(), rel=0.03)


def test_points_unite_and_none_give_zeros() -> None:
    assert heatmap([]).sum() == 0
    assert heatmap([(0.2, 0.2), (0.21, 0.2)]).max() == 1
    apart = heatmap([(0.2, 0.2), (0.8, 0.8)])
    assert apart.sum() == heatmap([(0.2, 0.2)]).sum() + heatmap([(0.8, 0.8)]).sum()
    assert 0 < heatmap([(0, 1)]).sum() < heatmap([(0.5, 0.5)]).sum()


def test_heatmaps_are_averaged_over_raters() -> None:
    marked = rating(artifact_points=((0.5, 0.5),))
    label = aggregate([marked, rating("bob"), rating("cy")])
    assert set(np.unique(label.maps["artifact"])) == {0, 1 / 3}
    assert label.maps["misalignment"].sum() == 0


def test_words_go_by_majority_and_a_tie_is_aligned() -> None:
    one, both, none = rating(misaligned_words=(1,)), rating("bob", misaligned_words=(1, 2)), rating("cy")
    assert aggregate([one]).misaligned == (False, True, False, False, False, False, False)
    assert aggregate([one, none]).misaligned == (False,) * 7
    assert aggregate([one, both]).misaligned == aggregate([one]).misaligned
    assert aggregate([one, both, none]).misaligned == aggregate([one]).misaligned


def test_no_ratings_and_different_prompts_are_errors() -> None:
    with pytest.raises(ValueError, match="ratings: of 0 prompts"):
        aggregate([])
    other = RichRating(rater="bob", prompt="a moon", plausibility=1, alignment=1, aesthetics=1, overall=1)
    with pytest.raises(ValueError, match="ratings: of 2 prompts"):
        aggregate([rating(), other])


def test_export_has_the_datasets_form_and_comes_back() -> None:
    raters = [
        rating(artifact_points=((0.3, 0.6),), misaligned_words=(1,)),
        rating("bob", artifact_points=((0.3, 0.6),)),
    ]
    label = aggregate([*raters, rating("cy", misaligned_words=(1, 6))])
    features = to_richhf(label, "train/0123.png")
    assert features["prompt_misalignment_label"] == b"1 0 1 1 1 1 1"
    assert (features["artifact_score"], features["filename"]) == (0.5, b"train/0123.png")
    with Image.open(io.BytesIO(features["artifact_map"])) as picture:  # type: ignore[arg-type]
        assert (picture.mode, picture.size) == ("L", (512, 512))
    back = from_richhf(features, PROMPT)
    assert (back.scores, back.misaligned) == (label.scores, label.misaligned)
    for name in MAPS:
        np.testing.assert_allclose(back.maps[name], label.maps[name], atol=0.5 / 255)
    assert from_richhf({**features, "artifact_map": b""}, PROMPT).maps["artifact"].sum() == 0


def test_ratings_survive_json() -> None:
    one = rating(artifact_points=((0.25, 1),), misalignment_points=((0, 0.5), (1, 1)), misaligned_words=(0, 6))
    assert RichRating.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({name: 0}, f"{name}: 0 is out of range; allowed: whole numbers from 1 to 5") for name in SCORES),
        ({"artifact_points": ((0.5, 1.2),)}, r"artifact_points: \(0.5, 1.2\) is out of range"),
        ({"misaligned_words": (7,)}, "misaligned_words: 7; allowed: 0 to 6"),
        ({"mood": 3}, "rich rating: .*mood"),
    ],
)
def test_bad_ratings_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RichRating.from_dict({**rating().to_dict(), **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overall_score": 1.5}, "overall_score: 1.5 is out of range; allowed: 0 to 1"),
        ({"prompt_misalignment_label": b"1 0"}, "prompt_misalignment_label: '1 0' does not fit the 7 words"),
        ({"prompt_misalignment_label": b"1 0 1 1 1 1 2"}, "does not fit"),
    ],
)
def test_bad_examples_are_named(changes: dict[str, object], message: str) -> None:
    features = {**to_richhf(aggregate([rating()]), "x.png"), **changes}
    with pytest.raises(ValueError, match=message):
        from_richhf(features, PROMPT)
    del features["overall_score"]
    with pytest.raises(ValueError, match="overall_score: missing"):
        from_richhf(features, PROMPT)
