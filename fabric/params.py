"""FABRIC's action space: every knob of a generation, with its range, and the authors' settings as presets."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import torch
import yaml
from torch import Tensor

from fabric.knobs import KNOBS
from fabric.weighting import thin, timing_weight, window_weight

BY_PICTURE = tuple(name for name, knob in KNOBS.items() if knob.by_picture)
"""Names of the fields that map image ids to values."""


def _knob(name: str) -> Any:
    return field(default=KNOBS[name].default)


@dataclass(frozen=True, kw_only=True)
class FabricParams:
    """Settings of one image's generation.

    The weight of reference k at step i and depth l is the product of what follows, and multiplies the attention
    probabilities of its tokens (von Rütte et al. 2023, arXiv 2307.10159, eq. 2).

    Attributes:
        strength: How much the liked pictures count inside the window; the image itself counts 1. (0 to 8, attention
            weight, default 0.8)
        floor: How much of the strength is left outside the window. (0 to 1, fraction of strength, default 0)
        start: Where the window begins; 0 is the first, noisiest step. (0 to 1, fraction of the denoising steps, default
            0)
        end: Where the window ends, not before its start; a step partly inside counts in part. (0 to 1, fraction of the
            denoising steps, default 1)
        neg_scale: How much disliked pictures count, relative to liked ones. (0 to 2, fraction of the liked pictures'
            weight, default 0.5)
        bottleneck: Factor on the weights at the U-Net's middle block; it runs linearly to 1 at the outer blocks. (0 to
            2, factor, default 1)
        outer: Factor on the weights in the outermost self-attention layers; 1: official FABRIC, 0: these layers see no
            pictures, which saves most of what feedback costs. (0 to 1, factor, default 0)
        recency: Factor on a picture's weight for each round of its age; 1: all rounds equal, 0: only the newest. (0 to
            1, factor for each round, default 1)
        crowding: How far pictures of one sign share one weight: each is divided by max(1, sum of their weights) **
            crowding; 0: official FABRIC, 1: constant total however many. (0 to 1, exponent, default 0)
        weights: Factors on the weights of single pictures, by image id; 1 for pictures not named. (0 to 1, factor for
            each picture, default 1)
        timing: When single pictures count, by image id; -1: less and less towards the last step, 1: more and more, 0:
            alike in all steps. (-1 to 1, from early to late, default 0)
        masking: How far masks of pictures count: of a liked one what is masked does not attract, of a disliked one only
            what is marked repels; 0: pictures count whole. (0 to 1, fraction, default 1)
        prompt_dropout: Probability that a word of the prompt is left out, drawn for each image. (0 to 1, probability,
            default 0)
        emphasis: Factor on how far words that earlier images did not show move the text from an empty prompt's; 1: all
            words alike. (1 to 3, factor, default 1)
        guidance_scale: Factor of classifier-free guidance: how far the image is pushed towards the prompt and the liked
            pictures, away from the disliked ones. (1 to 20, factor, default 7)

    Raises:
        ValueError: a value is out of range; the message names field, value and what is allowed.
    """

    strength: float = _knob("strength")
    floor: float = _knob("floor")
    start: float = _knob("start")
    end: float = _knob("end")
    neg_scale: float = _knob("neg_scale")
    bottleneck: float = _knob("bottleneck")
    outer: float = _knob("outer")
    recency: float = _knob("recency")
    crowding: float = _knob("crowding")
    weights: Mapping[str, float] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    masking: float = _knob("masking")
    prompt_dropout: float = _knob("prompt_dropout")
    emphasis: float = _knob("emphasis")
    guidance_scale: float = _knob("guidance_scale")

    def __post_init__(self) -> None:
        for name, (low, high) in self.bounds().items():
            object.__setattr__(self, name, _number(name, getattr(self, name), low, high))
        if self.start > self.end:
            raise ValueError(f"start: {self.start:g} is above end ({self.end:g}); allowed: start <= end")
        for name in BY_PICTURE:
            object.__setattr__(self, name, _numbers(name, getattr(self, name), KNOBS[name].low, KNOBS[name].high))

    @classmethod
    def bounds(cls) -> dict[str, tuple[float, float]]:
        """Least and greatest value of every scalar field."""
        return {name: (knob.low, knob.high) for name, knob in KNOBS.items() if not knob.by_picture}

    def of_picture(self, knob: str, image: str) -> float:
        """Value of a picture, or the default where it has none.

        Args:
            knob: one of `BY_PICTURE`.
            image: the picture's id.
        """
        value: float = getattr(self, knob).get(image, KNOBS[knob].default)
        return value

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Settings from field names and values; fields not named have their default.

        What was written by `to_dict` before there was `outer` names all other fields of that time; its outermost layers
        saw all.

        Raises:
            ValueError: a name is unknown or a value out of range.
        """
        known = [knob.name for knob in fields(cls)]
        if values.keys() == {*KNOBS} - {"outer", "timing", "masking", "emphasis"}:
            values = {**values, "outer": 1.0}
        for name in values:
            if name not in known:
                raise ValueError(f"{name}: unknown parameter; allowed: {', '.join(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields; `from_dict` gives equal settings."""
        return asdict(self)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Settings from the text of a YAML mapping.

        Raises:
            ValueError: no YAML, no mapping, an unknown name or a value out of range.
        """
        try:
            values = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ValueError(f"parameters: not YAML ({' '.join(str(error).split())})") from error
        if not isinstance(values, dict):
            raise ValueError(f"parameters: {values!r} is not a mapping of names to values")
        return cls.from_dict(values)

    def to_yaml(self, knobs: Container[str] = KNOBS) -> str:
        """The text of a YAML mapping; `from_yaml` gives equal settings.

        Args:
            knobs: names of those that the model's family has; others, which change nothing, are left out.
        """
        values = {name: value for name, value in self.to_dict().items() if name in knobs or name not in KNOBS}
        return yaml.safe_dump(values, sort_keys=False)


def _number(name: str, value: Any, low: float, high: float) -> float:
    """Checks a number from outside."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: {value!r} is not a number from {low:g} to {high:g}")
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name}: {value} is out of range; allowed: {low:g} to {high:g}")
    return float(value)


def _numbers(name: str, values: Any, low: float, high: float) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}: {values!r} is not a mapping of image ids to numbers from {low:g} to {high:g}")
    return {str(image): _number(f"{name}[{image}]", value, low, high) for image, value in values.items()}


_AUTHORS = {
    "official": (FabricParams(strength=1.0, floor=0.1, outer=1.0), (0.33, 0.66)),
    "paper-preference": (FabricParams(strength=0.1, outer=1.0), None),
    "paper-target": (FabricParams(strength=0.8, outer=1.0), None),
    "repo-eval": (FabricParams(strength=0.3, outer=1.0), (0.0, 0.8)),
    "none": (FabricParams(strength=0.0), None),
}
PRESETS = tuple(_AUTHORS)


def preset(name: str, steps: int) -> FabricParams:
    """The authors' settings for a number of evaluations; "none" is no feedback.

    Their windows begin and end with `round(fraction * T)` and count the last one: 0 to 0.8 of 20 are 17.

    Args:
        name: one of `PRESETS`.
        steps: evaluations of the U-Net T; see `fabric.models.evaluations`.

    Returns:
        The settings; a window in steps becomes exactly the same steps.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in _AUTHORS:
        raise ValueError(f"preset: {name!r} is unknown; allowed: {', '.join(PRESETS)}")
    settings, window = _AUTHORS[name]
    if window is None:
        return settings
    first, last = (round(fraction * steps) for fraction in window)
    return replace(settings, start=first / steps, end=min(steps, last + 1) / steps)


def step_weights(params: FabricParams, steps: int) -> Tensor:
    """Weight of a reference at each step, as far as steps decide it.

    Args:
        params: the settings.
        steps: denoising steps T.

    Returns:
        T float64 values: `strength` times the share of the step inside the window, blended with the floor.
    """
    edges = torch.arange(steps + 1, dtype=torch.float64) / steps
    covered = (edges[1:].clamp(max=params.end) - edges[:-1].clamp(min=params.start)).clamp(min=0) * steps
    strength, floor = covered.new_tensor(params.strength), covered.new_tensor(params.floor)
    return window_weight(strength, floor, covered)


def image_weights(params: FabricParams, ids: Sequence[str], ages: Sequence[int]) -> Tensor:
    """Weights of images of one sign, as far as images decide it.

    Args:
        params: the settings.
        ids: names of R images.
        ages: their ages in rounds, 0 for the newest.

    Returns:
        R float64 values: named weight times `recency ** age`, thinned by `crowding`.
    """
    named = torch.tensor([params.of_picture("weights", name) for name in ids], dtype=torch.float64)
    aged = named * params.recency ** torch.tensor(ages, dtype=torch.float64)
    return thin(aged, params.crowding)


def timing_weights(params: FabricParams, ids: Sequence[str], steps: int) -> Tensor:
    """Factors of images at each step, as far as their timing decides it.

    Args:
        params: the settings.
        ids: names of R images.
        steps: denoising steps T.

    Returns:
        T x R float64 values, those of the middle of each step.
    """
    moments = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    timing = torch.tensor([params.of_picture("timing", name) for name in ids], dtype=torch.float64)
    return timing_weight(timing, moments[:, None])
