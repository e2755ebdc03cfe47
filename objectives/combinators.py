"""Objectives made of objectives. Parts that count the other way are turned round first, so higher is better in all.

Every combinator says how it brings its parts to one scale; `Unit` is the usual way.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from PIL.Image import Image

from objectives.base import Context, Objective, toward_higher


class _Made(Objective):
    """An objective made of others; it needs what they need."""

    def __init__(self, name: str, parts: Sequence[Objective]) -> None:
        self.name = name
        self.parts = tuple(parts)
        self.needs = frozenset().union(*(part.needs for part in parts))
        self.of_batch = any(part.of_batch for part in parts)
        self.asks_people = any(part.asks_people for part in parts)

    def prepare(self) -> None:
        """Prepares all parts."""
        for part in self.parts:
            part.prepare()


class Unit(_Made):
    """A part brought to 0 (worst) to 1 (best): `(score - low) / (high - low)`, cut at both ends.

    Args:
        part: the objective.
        low: its score that becomes 0 (1 where lower is better); its lower bound by default.
        high: its score that becomes 1; its upper bound by default.

    Raises:
        ValueError: an end is infinite, or they are not in order.
    """

    bounds = (0.0, 1.0)

    def __init__(self, part: Objective, low: float | None = None, high: float | None = None) -> None:
        self.low = part.bounds[0] if low is None else low
        self.high = part.bounds[1] if high is None else high
        if not math.isfinite(self.high - self.low) or self.low >= self.high:
            raise ValueError(f"range: {part.name} from {self.low:g} to {self.high:g}; allowed: finite, low < high")
        super().__init__(part.name, [part])

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        (part,) = self.parts
        shares = [(score - self.low) / (self.high - self.low) for score in part(images, contexts)]
        cut = [min(1.0, max(0.0, share)) for share in shares]
        return cut if part.higher_is_better else [1 - share for share in cut]


class Combined(_Made):
    """What all combinators share: weights that sum to 1, and the parts' needs.

    Args:
        parts: one or more objectives.
        weights: one positive number for each, scaled to sum to 1; equal by default.

    Raises:
        ValueError: no parts, or weights that do not fit.
    """

    kind = "combined"

    def __init__(self, parts: Sequence[Objective], weights: Sequence[float] | None = None) -> None:
        given = [1.0] * len(parts) if weights is None else list(weights)
        if not parts or len(given) != len(parts):
            raise ValueError(f"weights: {len(given)} for {len(parts)} parts; allowed: as many, at least one")
        if not all(math.isfinite(weight) and weight > 0 for weight in given):
            raise ValueError(f"weights: {given}; allowed: numbers above 0")
        super().__init__(f"{self.kind}({', '.join(part.name for part in parts)})", parts)
        self.weights = tuple(weight / sum(given) for weight in given)
        ends = [toward_higher(part, part.bounds) for part in parts]
        self.bounds = (self._combine([min(pair) for pair in ends]), self._combine([max(pair) for pair in ends]))

    @abstractmethod
    def _combine(self, scores: Sequence[float]) -> float:
        """One image's scores of all parts, higher better, to one."""

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        columns = [toward_higher(part, part(images, contexts)) for part in self.parts]
        return [self._combine(row) for row in zip(*columns, strict=True)]


class WeightedSum(Combined):
    """`sum_k w_k s_k` with weights that sum to 1; parts keep their scale, so wrap those of different ones in `Unit`."""

    kind = "sum"

    def _combine(self, scores: Sequence[float]) -> float:
        return math.fsum(weight * score for weight, score in zip(self.weights, scores, strict=True))


class Minimum(Combined):
    """`min_k s_k`: as good as the worst part; weights do not matter, scales do."""

    kind = "min"

    def _combine(self, scores: Sequence[float]) -> float:
        return min(scores)


class Chebyshev(Combined):
    """Augmented Chebyshev scalarisation `-max_k w_k d_k - alpha sum_k w_k d_k` (Knowles 2006, ParEGO).

    `d_k` is how far part k is from its best possible score. With varied weights it reaches every Pareto-optimal point,
    which a weighted sum does not. Parts keep their scale, so wrap those of different ones in `Unit`.

    Args:
        parts: objectives with a finite best score.
        weights: one for each.
        alpha: of the sum, 0 or more; keeps merely weakly optimal points out.

    Raises:
        ValueError: alpha is negative, or a part has no finite best score.
    """

    kind = "chebyshev"

    def __init__(self, parts: Sequence[Objective], weights: Sequence[float] | None = None, alpha: float = 0.05) -> None:
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha: {alpha}; allowed: 0 or more")
        self.alpha = alpha
        self.ideal = [max(toward_higher(part, part.bounds)) for part in parts]
        if not all(map(math.isfinite, self.ideal)):
            raise ValueError(f"parts: best scores are {self.ideal}; allowed: finite ones, as those of Unit")
        super().__init__(parts, weights)

    def _combine(self, scores: Sequence[float]) -> float:
        far = [weight * (best - own) for weight, best, own in zip(self.weights, self.ideal, scores, strict=True)]
        return -max(far) - self.alpha * math.fsum(far)


class HarmonicMean(_Made):
    """RPO's reward (Miao et al. 2024, arXiv 2407.12164): `1 / (lambda / S_image + (1 - lambda) / S_text)`.

    `S = (cos + 1) / 2` of two cosines. The worse of the two dominates; at lambda = 1 it is S_image, at 0 S_text.

    Args:
        image: cosine to pictures, such as `PictureSimilarity`.
        text: cosine to the prompt, such as `PromptSimilarity`.
        weight: lambda, 0 to 1, the importance of `image`.

    Raises:
        ValueError: lambda is out of range, or a part is no cosine of which higher is better.
    """

    bounds = (0.0, 1.0)

    def __init__(self, image: Objective, text: Objective, weight: float = 0.5) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"lambda: {weight} is out of range; allowed: 0 to 1")
        for part in (image, text):
            if part.bounds != (-1.0, 1.0) or not part.higher_is_better:
                raise ValueError(f"part: {part.name} is no cosine of which higher is better (bounds {part.bounds})")
        super().__init__(f"harmonic({image.name}, {text.name})", [image, text])
        self.weight = weight

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        ours, theirs = (part(images, contexts) for part in self.parts)
        return [harmonic((a + 1) / 2, (b + 1) / 2, self.weight) for a, b in zip(ours, theirs, strict=True)]


def harmonic(first: float, second: float, weight: float) -> float:
    """Weighted harmonic mean of two numbers from 0 to 1; 0 where a part that counts is 0."""
    parts = [(share, value) for share, value in ((weight, first), (1 - weight, second)) if share > 0]
    if any(value <= 0 for _, value in parts):
        return 0.0
    return 1 / math.fsum(share / value for share, value in parts)


class BaselineDifference(_Made):
    """The score minus that of the same prompt and seed without feedback; what scores of PickScore's kind need.

    Prompt and seed decide most of such a score; the difference leaves what the settings did.

    Args:
        part: an objective whose score is an image's own.

    Raises:
        ValueError: the part is of whole batches.
    """

    def __init__(self, part: Objective) -> None:
        if part.of_batch:
            raise ValueError(f"part: {part.name} scores whole batches; allowed: objectives of single images")
        super().__init__(f"{part.name}-gain", [part])
        self.higher_is_better = part.higher_is_better
        self.needs |= {"baseline"}
        low, high = part.bounds
        self.bounds = (low - high, high - low)

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        baselines = [context.baseline for context in contexts if context.baseline is not None]
        plain = [replace(context, baseline=None) for context in contexts]
        (part,) = self.parts
        own, others = part(images, plain), part(baselines, plain)
        return [score - other for score, other in zip(own, others, strict=True)]


COMBINATIONS = ("sum", "min", "chebyshev", "harmonic", "gain")
"""Names that `combine` knows: weighted sum, worst part, Chebyshev, harmonic mean, gain over no feedback."""


def combine(name: str, parts: Sequence[Objective], weights: Sequence[float] | None = None) -> Objective:
    """A combination by name.

    Args:
        name: one of `COMBINATIONS`.
        parts: of it; two for `harmonic` (image and text), one for `gain`.
        weights: one for each part, equal by default; `min` and `gain` take none.

    Raises:
        ValueError: no such name, or parts or weights that do not fit.
    """
    if name not in COMBINATIONS:
        raise ValueError(f"combination: {name!r} is unknown; allowed: {', '.join(COMBINATIONS)}")
    counts = {"harmonic": 2, "gain": 1}
    if len(parts) != counts.get(name, len(parts)):
        raise ValueError(f"{name}: {len(parts)} parts; allowed: {counts[name]}")
    if name in ("min", "gain") and weights is not None:
        raise ValueError(f"{name}: weights {list(weights)}; allowed: none")
    if name == "gain":
        return BaselineDifference(parts[0])
    if name == "harmonic":
        shares = WeightedSum(parts, weights).weights
        return HarmonicMean(parts[0], parts[1], shares[0])
    return {"sum": WeightedSum, "min": Minimum, "chebyshev": Chebyshev}[name](parts, weights)
