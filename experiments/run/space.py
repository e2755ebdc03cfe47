"""FABRIC's parameters as an Optuna search space, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, FloatDistribution

from experiments.config.parts import RangeConfig
from fabric.params import BY_PICTURE, FabricParams

_OF_PICTURE = {"weights": "weight", "timing": "timing"}  # before a blank and an image's id
SHARE = "start/end"  # where both are sought, so that every point of the space is a window


def picture_name(knob: str, image: str) -> str:
    """Name of the parameter that is an image's weight or timing."""
    return f"{_OF_PICTURE[knob]} {image}"


def split_name(parameter: str) -> tuple[str, str | None]:
    """What a parameter is, and the id of the image that it belongs to, if to one."""
    what, _, image = parameter.partition(" ")
    return (what, image) if what in _OF_PICTURE.values() and image else (parameter, None)


class OtherSpace(Protocol):
    """Parameters of trials that FABRIC's settings say nothing of."""

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's form of it; empty where nothing is sought."""

    def setting(self, params: FabricParams, values: Mapping[str, Any]) -> FabricParams:
        """Settings with what a trial's values say."""

    def values(self, params: FabricParams) -> dict[str, Any]:
        """A trial's values of settings."""


class Space:
    """What is sought of FABRIC's parameters, and besides.

    Args:
        sought: ranges by field; `weights` and `timing` are those of each image's.
        base: values of other fields.
        images: ids of feedback images, whose weights and timing are sought if those are; more may come on the way.
        others: what is sought besides FABRIC's parameters.
    """

    def __init__(
        self,
        sought: Mapping[str, RangeConfig],
        base: FabricParams,
        images: Sequence[str] = (),
        others: Sequence[OtherSpace] = (),
    ) -> None:
        self.sought = {field: range_ for field, range_ in sought.items() if field not in BY_PICTURE}
        self.base = base
        self._by_picture = {field: sought[field] for field in BY_PICTURE if field in sought}
        self.images = tuple(images) if self._by_picture else ()
        self._window = {"start", "end"} <= self.sought.keys()
        self.others = tuple(others)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's form of it."""
        found: dict[str, BaseDistribution] = {
            self._name(field): FloatDistribution(range_.low, range_.high, log=range_.log)
            for field, range_ in self.sought.items()
        }
        if self._window:
            found[SHARE] = FloatDistribution(0.0, 1.0)
        for field, range_ in self._by_picture.items():
            found |= {picture_name(field, image): FloatDistribution(range_.low, range_.high) for image in self.images}
        for other in self.others:
            found |= other.distributions
        return found

    def _name(self, field: str) -> str:
        return SHARE if field == "start" and self._window else field

    def params(self, values: Mapping[str, Any]) -> FabricParams:
        """Settings of a trial's values; weights that it does not name are 0, as the images were not there."""
        fields = {field: values[self._name(field)] for field in self.sought}
        if self._window:
            low, high = self.sought["start"].low, self.sought["start"].high
            fields["start"] = min(high, max(low, values[SHARE] * fields["end"]), fields["end"])
        for field in self._by_picture:
            its = {image: float(values.get(picture_name(field, image), 0.0)) for image in self.images}
            fields[field] = {**getattr(self.base, field), **its}
        params = replace(self.base, **fields)
        for other in self.others:
            params = other.setting(params, values)
        return params

    def values(self, params: FabricParams) -> dict[str, Any]:
        """A trial's values of settings, cut to the ranges; what is not sought is lost."""
        found: dict[str, Any] = {
            self._name(field): range_.cut(getattr(params, field)) for field, range_ in self.sought.items()
        }
        if self._window:
            found[SHARE] = params.start / params.end if params.end > 0 else 0.0
        for knob, range_ in self._by_picture.items():
            found |= {picture_name(knob, image): range_.cut(params.of_picture(knob, image)) for image in self.images}
        for other in self.others:
            found |= other.values(params)
        return found


def absent(name: str) -> float | None:
    """What a parameter was in trials made before it existed: an image that was not there had weight 0, at any time."""
    return None if split_name(name)[1] is None else 0.0
