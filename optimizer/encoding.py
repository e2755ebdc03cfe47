"""Settings as points of the unit cube, and back.

Notation:
    d: dimensions of the encoded space. A range of numbers takes one, a choice among K takes K (one-hot), a parameter
        of one value takes none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from torch import Tensor

Absent = Callable[[str], float | None]
"""What a parameter was in trials made before it existed; None where such trials say nothing."""

FeatureMap: TypeAlias = "Callable[[Encoding, Tensor], Tensor]"
"""From points, ... x d, to what a model is to see of them, ... x k; differentiable."""

_OFF_GRID = 1e-8  # share of a step, as Optuna allows


def never(name: str) -> float | None:
    """No parameter has a value in trials that lack it."""
    return None


class Encoding:
    """Settings as points: logarithms where the range is logarithmic, equal shares for the values of a stepped range.

    Args:
        space: distributions by name.
        absent: values in trials that lack a parameter.
        feature_map: what a model sees of points, where something better than the points themselves is known: settings
            that have the same effect should look the same.

    Attributes:
        columns: of each parameter in a point.
        dimensions: d.
    """

    def __init__(
        self, space: Mapping[str, BaseDistribution], absent: Absent = never, feature_map: FeatureMap | None = None
    ) -> None:
        self.space = dict(space)
        self.absent = absent
        self.feature_map = feature_map
        self.columns: dict[str, slice] = {}
        self.dimensions = 0
        for name, distribution in self.space.items():
            self.columns[name] = slice(self.dimensions, self.dimensions + _width(distribution))
            self.dimensions += _width(distribution)

    def encode(self, params: Mapping[str, object]) -> Tensor | None:
        """A point, d, or None where a parameter is neither there nor known to have been absent, or is out of range."""
        point: list[float] = []
        for name, distribution in self.space.items():
            value = params[name] if name in params else self.absent(name)
            if (value is None and name not in params) or not in_range(distribution, value):
                return None
            point += _encoded(distribution, value)
        return torch.tensor(point, dtype=torch.float64)

    def decode(self, point: Tensor) -> dict[str, object]:
        """Settings at a point of the unit cube.

        Args:
            point: d; a choice is the largest of its columns.
        """
        values = point.double().clamp(0, 1).tolist()
        return {name: _decoded(self.space[name], values[columns]) for name, columns in self.columns.items()}

    def features(self, points: Tensor) -> Tensor:
        """What a model sees of points, ... x d to ... x k."""
        return points if self.feature_map is None else self.feature_map(self, points)

    def values(self, name: str, points: Tensor) -> Tensor:
        """Values of a range of floats at points, ... x d to ...; differentiable, as a feature map has to be."""
        low, high = _ends(self.space[name])
        if self.space[name].single():
            return torch.full_like(points[..., 0], low)
        share = points[..., self.columns[name].start]
        return low * (high / low) ** share if _is_log(self.space[name]) else low + (high - low) * share

    def rounded(self, point: Tensor) -> Tensor:
        """The point, d, of the setting that a point stands for."""
        columns = [_encoded(self.space[name], value) for name, value in self.decode(point).items()]
        return torch.tensor([number for column in columns for number in column], dtype=torch.float64)


def in_range(distribution: BaseDistribution, value: object) -> bool:
    """Whether a parameter can have a value."""
    try:
        number = distribution.to_internal_repr(value)
    except ValueError:  # no such choice, or no number
        return False
    if isinstance(distribution, CategoricalDistribution):
        return True
    low, high, step = _numbers(distribution)
    return low <= number <= high and (step is None or abs(math.remainder(number - low, step)) < _OFF_GRID * step)


def _numbers(distribution: BaseDistribution) -> tuple[float, float, float | None]:
    """Ends of a range, and its step where it has one."""
    assert isinstance(distribution, FloatDistribution | IntDistribution), f"unknown distribution: {distribution}"
    return distribution.low, distribution.high, distribution.step


def _width(distribution: BaseDistribution) -> int:
    if distribution.single():
        return 0
    return len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else 1


def _ends(distribution: BaseDistribution) -> tuple[float, float]:
    """What 0 and 1 stand for; half a step is added at both, so that each value has an equal share."""
    low, high, step = _numbers(distribution)
    half = 0.0 if step is None else step / 2
    return low - half, high + half


def _is_log(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log


def _encoded(distribution: BaseDistribution, value: object) -> list[float]:
    number = float(distribution.to_internal_repr(value))
    if distribution.single():
        return []
    if isinstance(distribution, CategoricalDistribution):
        return [float(place == number) for place in range(len(distribution.choices))]
    low, high = _ends(distribution)
    if _is_log(distribution):
        return [math.log(number / low) / math.log(high / low)]
    return [(number - low) / (high - low)]


def _decoded(distribution: BaseDistribution, shares: list[float]) -> object:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[shares.index(max(shares)) if shares else 0]
    low, high, step = _numbers(distribution)
    if not shares:
        return distribution.to_external_repr(low)
    start, end = _ends(distribution)
    share = shares[0]
    number = start * (end / start) ** share if _is_log(distribution) else start + share * (end - start)
    if step is not None:
        number = low + step * math.floor((number - low) / step + 0.5)
    return distribution.to_external_repr(min(high, max(low, number)))
