"""FABRIC's parameters as an Optuna search space, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import FloatDistribution

from experiments.config.parts import RangeConfig
from experiments.config.schema import WEIGHTS
from fabric.params import FabricParams

_WEIGHT = "weight "  # and an image's id
SHARE = "start/end"  # where both are sought, so that every point of the space is a window


def weight_name(image: str) -> str:
    """Name of the parameter that is an image's weight."""
    return f"{_WEIGHT}{image}"


class Space:
    """What is sought of `FabricParams`.

    Args:
        sought: ranges by field; `weights` is the range of each image's weight.
        base: values of other fields.
        images: ids of feedback images, whose weights are sought if `weights` is; more may come on the way.
    """

    def __init__(self, sought: Mapping[str, RangeConfig], base: FabricParams, images: Sequence[str] = ()) -> None:
        self.sought = {field: range_ for field, range_ in sought.items() if field != WEIGHTS}
        self.base = base
        self.images = tuple(images) if WEIGHTS in sought else ()
        self._weight = sought.get(WEIGHTS, RangeConfig(low=0, high=1))
        self._window = {"start", "end"} <= self.sought.keys()

    @property
    def distributions(self) -> dict[str, FloatDistribution]:
        """Optuna's form of it."""
        found = {
            self._name(field): FloatDistribution(range_.low, range_.high, log=range_.log)
            for field, range_ in self.sought.items()
        }
        if self._window:
            found[SHARE] = FloatDistribution(0.0, 1.0)
        weight = FloatDistribution(self._weight.low, self._weight.high)
        return found | {weight_name(image): weight for image in self.images}

    def _name(self, field: str) -> str:
        return SHARE if field == "start" and self._window else field

    def params(self, values: Mapping[str, Any]) -> FabricParams:
        """Settings of a trial's values; weights that it does not name are 0, as the images were not there."""
        fields = {field: values[self._name(field)] for field in self.sought}
        if self._window:
            low, high = self.sought["start"].low, self.sought["start"].high
            fields["start"] = min(high, max(low, values[SHARE] * fields["end"]), fields["end"])
        weights = {image: float(values.get(weight_name(image), 0.0)) for image in self.images}
        return replace(self.base, **fields, weights={**self.base.weights, **weights})

    def values(self, params: FabricParams) -> dict[str, float]:
        """A trial's values of settings, cut to the ranges; what is not sought is lost."""
        found = {self._name(field): _cut(getattr(params, field), range_) for field, range_ in self.sought.items()}
        if self._window:
            found[SHARE] = params.start / params.end if params.end > 0 else 0.0
        weights = {weight_name(image): _cut(params.weights.get(image, 1.0), self._weight) for image in self.images}
        return found | weights


def _cut(value: float, sought: RangeConfig) -> float:
    return min(sought.high, max(sought.low, value))


def absent(name: str) -> float | None:
    """What a parameter was in trials made before it existed: an image that was not there had weight 0."""
    return 0.0 if name.startswith(_WEIGHT) else None
