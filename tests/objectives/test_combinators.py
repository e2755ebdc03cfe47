from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from botorch.utils.multi_objective.scalarization import get_chebyshev_scalarization
from hypothesis import given
from hypothesis import strategies as st
from PIL.Image import Image

from objectives.base import Context, Objective
from objectives.combinators import (
    BaselineDifference,
    Chebyshev,
    Combined,
    HarmonicMean,
    Minimum,
    Unit,
    WeightedSum,
    combine,
    harmonic,
)
from objectives.plugins import FunctionObjective
from objectives.testing import ObjectiveContract, sample_images

share = st.floats(0, 1)
positive = st.floats(0.01, 1)


class Channel(Objective):
    """Mean of one channel, in [-1, 1]."""

    bounds = (-1.0, 1.0)

    def __init__(self, channel: int = 0, *, higher_is_better: bool = True) -> None:
        self.name = f"channel-{channel}"
        self.channel = channel
        self.higher_is_better = higher_is_better

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        resized = [image.convert("RGB").resize((1, 1)).getpixel((0, 0)) for image in images]
        return [pixel[self.channel] / 127.5 - 1 for pixel in resized]  # type: ignore[index]


RED, GREEN, NOT_BLUE = Channel(0), Channel(1), Channel(2, higher_is_better=False)
IMAGES, CONTEXTS = sample_images(5), [Context("a star")] * 5


def _scores(objective: Objective) -> torch.Tensor:
    return torch.tensor(objective(IMAGES, CONTEXTS), dtype=torch.float64)


def test_parts_that_count_the_other_way_are_turned_round() -> None:
    found = _scores(WeightedSum([RED, NOT_BLUE], [3, 1]))
    torch.testing.assert_close(found, 0.75 * _scores(RED) - 0.25 * _scores(NOT_BLUE))
    torch.testing.assert_close(_scores(Minimum([RED, NOT_BLUE])), torch.minimum(_scores(RED), -_scores(NOT_BLUE)))
    torch.testing.assert_close(_scores(Unit(NOT_BLUE)), (1 - _scores(NOT_BLUE)) / 2)


def test_chebyshev_is_botorchs() -> None:
    parts, weights = [Unit(RED), Unit(GREEN), Unit(NOT_BLUE)], [0.5, 0.3, 0.2]
    Y = torch.stack([_scores(part) for part in parts], dim=1)
    # BoTorch normalises by the observed range; with 0 and 1 observed it leaves unit scores as they are.
    seen = torch.tensor([[0.0] * 3, [1.0] * 3], dtype=torch.float64)
    theirs = get_chebyshev_scalarization(torch.tensor(weights, dtype=torch.float64), seen, alpha=0.05)
    torch.testing.assert_close(_scores(Chebyshev(parts, weights)), theirs(Y, None))


@given(share, share, share)
def test_harmonic_mean_lies_between_and_below_the_arithmetic(a: float, b: float, weight: float) -> None:
    found = harmonic(a, b, weight)
    assert min(a, b) - 1e-12 <= found or found == 0
    assert found <= weight * a + (1 - weight) * b + 1e-12


@given(positive, positive)
def test_harmonic_mean_has_its_parts_as_limits(a: float, b: float) -> None:
    assert harmonic(a, b, 1) == pytest.approx(a)
    assert harmonic(a, b, 0) == pytest.approx(b)


@given(positive, positive, share, positive)
def test_harmonic_mean_is_monotone(a: float, b: float, weight: float, more: float) -> None:
    assert harmonic(min(1, a + more), b, weight) >= harmonic(a, b, weight) - 1e-12
    assert harmonic(a, min(1, b + more), weight) >= harmonic(a, b, weight) - 1e-12


def test_harmonic_mean_of_the_papers_example() -> None:
    assert harmonic((0.8 + 1) / 2, (0.3 + 1) / 2, 0.5) == pytest.approx(0.755, abs=5e-4)
    found = _scores(HarmonicMean(RED, GREEN, 0.3))
    expected = 1 / (0.3 / ((_scores(RED) + 1) / 2) + 0.7 / ((_scores(GREEN) + 1) / 2))
    torch.testing.assert_close(found, expected)


@given(st.lists(positive, min_size=2, max_size=2), st.lists(positive, min_size=2, max_size=2), positive)
def test_combinators_are_monotone(scores: list[float], weights: list[float], more: float) -> None:
    for kind in (WeightedSum, Minimum, Chebyshev):
        combined = kind([RED, GREEN], weights)
        better = [scores[0] + more, scores[1]]
        assert combined._combine(better) >= combined._combine(scores)


def test_baseline_difference() -> None:
    baselines = sample_images(5, seed=9)
    contexts = [Context(baseline=image) for image in baselines]
    found = BaselineDifference(RED)(IMAGES, contexts)
    assert found == pytest.approx([a - b for a, b in zip(RED(IMAGES, CONTEXTS), RED(baselines, CONTEXTS), strict=True)])
    assert BaselineDifference(RED)(baselines, contexts) == [0.0] * 5


@pytest.mark.parametrize("kind", [WeightedSum, Minimum, Chebyshev])
def test_bad_weights_are_named(kind: type[Combined]) -> None:
    for parts, weights in (([], None), ([RED], [1, 2]), ([RED, GREEN], [1, -1]), ([RED], [math.nan])):
        with pytest.raises(ValueError, match="weights: "):
            kind(parts, weights)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"lambda: 1.5 is out of range; allowed: 0 to 1"):
        HarmonicMean(RED, GREEN, 1.5)
    with pytest.raises(ValueError, match=r"part: channel-2 is no cosine of which higher is better"):
        HarmonicMean(RED, NOT_BLUE)
    with pytest.raises(ValueError, match=r"range: channel-0 from 1 to 0"):
        Unit(RED, 1, 0)
    with pytest.raises(ValueError, match=r"parts: best scores are \[inf\]"):
        Chebyshev([FunctionObjective(lambda images, prompts: [])])
    with pytest.raises(ValueError, match=r"range: sum\(channel-0\) from .*inf"):
        Unit(WeightedSum([RED]), high=math.inf)


class TestUnit(ObjectiveContract):
    def make(self) -> Objective:
        return Unit(NOT_BLUE, -0.5, 0.5)


class TestSum(ObjectiveContract):
    def make(self) -> Objective:
        return WeightedSum([Unit(RED), NOT_BLUE], [1, 2])


class TestMinimum(ObjectiveContract):
    def make(self) -> Objective:
        return Minimum([RED, NOT_BLUE])


class TestChebyshev(ObjectiveContract):
    def make(self) -> Objective:
        return Chebyshev([Unit(RED), Unit(NOT_BLUE)])


class TestHarmonicMean(ObjectiveContract):
    def make(self) -> Objective:
        return HarmonicMean(RED, GREEN)


class TestBaselineDifference(ObjectiveContract):
    def make(self) -> Objective:
        return BaselineDifference(NOT_BLUE)


@pytest.mark.parametrize(
    ("name", "count", "weights", "same"),
    [
        ("sum", 2, [1, 3], WeightedSum([RED, GREEN], [1, 3])),
        ("min", 2, None, Minimum([RED, GREEN])),
        ("chebyshev", 2, [1, 3], Chebyshev([RED, GREEN], [1, 3])),
        ("harmonic", 2, [1, 3], HarmonicMean(RED, GREEN, 0.25)),
        ("gain", 1, None, BaselineDifference(RED)),
    ],
)
def test_combinations_by_name(name: str, count: int, weights: list[float] | None, same: Objective) -> None:
    images = sample_images(3)
    contexts = [Context(baseline=images[0])] * len(images)
    made = combine(name, [RED, GREEN][:count], weights)
    assert made.name == same.name
    assert made(images, contexts) == same(images, contexts)


@pytest.mark.parametrize(
    ("name", "count", "weights", "message"),
    [
        ("mean", 2, None, "combination: 'mean' is unknown; allowed: sum, min, chebyshev, harmonic, gain"),
        ("harmonic", 3, None, "harmonic: 3 parts; allowed: 2"),
        ("harmonic", 2, [1], "weights: 1 for 2 parts"),
        ("gain", 2, None, "gain: 2 parts; allowed: 1"),
        ("min", 2, [1, 2], r"min: weights \[1, 2\]; allowed: none"),
    ],
)
def test_combinations_that_do_not_fit(name: str, count: int, weights: list[float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        combine(name, [RED, GREEN, NOT_BLUE][:count], weights)
