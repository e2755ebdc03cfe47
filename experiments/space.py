"""FABRIC's parameters as an Optuna search space, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution

from experiments.config import RangeConfig
from fabric.params import FabricParams

_WEIGHT = "weight "  # and an image's id
_SHARE = "start/end"  # where both are sought, so that every point of the space is a window


class Space:
    """What is sought of `FabricParams`.

    Args:
        sought: ranges by field.
        fixed: values of other fields; the rest have their defaults.
        images: ids of feedback images whose weights are sought from 0 to 1; more may come on the way.
    """

    def __init__(
        self, sought: Mapping[str, RangeConfig], fixed: Mapping[str, float], images: tuple[str, ...] = ()
    ) -> None:
        self.sought = dict(sought)
        self.base = FabricParams.from_dict(fixed)
        self.images = images
        self._window = {"start", "end"} <= self.sought.keys()

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's form of it."""
        found: dict[str, BaseDistribution] = {
            self._name(field): FloatDistribution(each.low, each.high, log=each.log)
            for field, each in self.sought.items()
        }
        if self._window:
            found[_SHARE] = FloatDistribution(0.0, 1.0)
        return found | {f"{_WEIGHT}{image}": FloatDistribution(0.0, 1.0) for image in self.images}

    def _name(self, field: str) -> str:
        return _SHARE if field == "start" and self._window else field

    def params(self, values: Mapping[str, Any]) -> FabricParams:
        """Settings of a trial's values; weights that it does not name are 0, as the images were not there."""
        fields = {field: values[self._name(field)] for field in self.sought}
        if self._window:
            low, high = self.sought["start"].low, self.sought["start"].high
            fields["start"] = min(high, max(low, values[_SHARE] * fields["end"]), fields["end"])
        weights = {image: float(values.get(f"{_WEIGHT}{image}", 0.0)) for image in self.images}
        return replace(self.base, **fields, weights=weights)

    def values(self, params: FabricParams) -> dict[str, float]:
        """A trial's values of settings, cut to the ranges; what is not sought is lost."""
        found = {
            self._name(field): min(each.high, max(each.low, getattr(params, field)))
            for field, each in self.sought.items()
        }
        if self._window:
            found[_SHARE] = params.start / params.end if params.end > 0 else 0.0
        return found | {f"{_WEIGHT}{image}": params.weights.get(image, 1.0) for image in self.images}


def absent(name: str) -> float | None:
    """What a parameter was in trials made before it existed: an image that was not there had weight 0."""
    return 0.0 if name.startswith(_WEIGHT) else None
