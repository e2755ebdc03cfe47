"""The truth about pictures with faults, and what simulated raters make of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.embedded.models.rich_labels import RichTruth, draw_truth, misaligned_words, ratings_of
from experiments.embedded.world.scenes.render import shape_coverage
from experiments.embedded.world.scenes.world import SCENES
from fabric.seeding import generator_for
from objectives.richhf import aggregate, tokens

VALUES = {
    "shape": "star",
    "colour": "red",
    "background": "night",
    "position": "left",
    "size": "large",
    "texture": "dotted",
    "light": "left",
    "style": "hills",
    "companion": "ball",
}


@pytest.fixture(scope="module")
def truth() -> RichTruth:
    return draw_truth(400, generator_for("truth"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("shape",), ["star"]),
        (("colour", "texture"), ["dotted", "red"]),
        (("background",), ["night"]),
        (("position",), ["left"]),
        (("companion",), ["white", "ball"]),
        (("style",), ["hills"]),
        ((), []),
    ],
)
def test_the_words_of_what_is_not_shown_are_misaligned(changed: tuple[str, ...], words: list[str]) -> None:
    said = tuple(name for name in VALUES if name != "light")
    for opening in SCENES.openings:
        prompt = SCENES.caption(VALUES, said, opening)
        marks = misaligned_words(prompt, VALUES, said, changed)
        assert [word for word, wrong in zip(tokens(prompt), marks, strict=True) if wrong] == words


def test_truths_are_spread_and_fit_together(truth: RichTruth) -> None:
    plausibility, alignment, _, overall = truth.scores.T
    assert float(truth.scores.min()) >= 0
    assert float(truth.scores.max()) <= 1
    assert 0.6 < float(plausibility.mean()) < 0.72
    assert 0.1 < float((plausibility == 1).float().mean()) < 0.3
    assert torch.equal(plausibility == 1, truth.artifacts.amax(dim=(1, 2)) == 0)
    assert 0.25 < float((alignment == 1).float().mean()) < 0.5
    wrong = torch.tensor([any(marks) for marks in truth.misaligned])
    assert float((wrong == (alignment < 1)).float().mean()) > 0.97  # "soft" and "clear" have no words to be wrong
    assert float(overall.std()) > 0.08


def test_wrong_colour_is_where_the_shape_is(truth: RichTruth) -> None:
    empty = truth.misalignment.amax(dim=(1, 2)) == 0
    assert torch.equal(empty & (truth.scores[:, 1] == 1), truth.scores[:, 1] == 1)
    shares = truth.misalignment.mean(dim=(1, 2))
    usual = float(shape_coverage(SCENES.sample(200, generator_for("area"))).mean())
    assert 0.5 * usual < float(shares[~empty].median()) < 3 * usual


def test_raters_agree_as_those_of_the_paper_do(truth: RichTruth) -> None:
    """A quarter fully, 85 % within one step (Liang et al. 2024); their mean is near the truth."""
    generator = np.random.default_rng(0)
    ratings = [ratings_of(truth, row, generator) for row in range(len(truth.prompts))]
    scores = np.array([[rating.overall for rating in of_one] for of_one in ratings])
    spread = np.ptp(scores, axis=1)
    assert np.mean(spread == 0) == pytest.approx(0.25, abs=0.08)
    assert np.mean(spread <= 1) == pytest.approx(0.85, abs=0.06)
    labels = [aggregate(of_one, (64, 64)) for of_one in ratings]
    for place in range(4):
        correlation = np.corrcoef([label.scores[place] for label in labels], truth.scores[:, place].numpy())[0, 1]
        assert correlation > 0.8
    hits = [
        float(label.artifact_map[truth.artifacts[row].numpy() > 0].sum() / max(label.artifact_map.sum(), 1e-9))
        for row, label in enumerate(labels)
        if label.artifact_map.sum() > 0
    ]
    assert np.mean(hits) > 0.5
    said = [
        word for row, label in enumerate(labels) for word in zip(label.misaligned, truth.misaligned[row], strict=True)
    ]
    assert np.mean([ours == theirs for ours, theirs in said]) > 0.95
