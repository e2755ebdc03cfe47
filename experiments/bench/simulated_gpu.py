"""A GPU that only takes its time: what it makes shows what its settings are worth, to those who can read it.

So a run's own code can be watched at scale without a model: the pictures have to be generated, kept, read and scored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from botorch.test_functions.synthetic import Levy
from PIL.Image import Image
from torch import Tensor
from torch.quasirandom import SobolEngine

from experiments.bench.functions import NOISE
from experiments.run.plan import Plan
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator, Generated, Request
from fabric.params import FabricParams
from fabric.seeding import generator_for
from objectives.base import Context, Objective
from optimizer.samplers.model_based import sobol_point

OBJECTIVE = f"{__name__}:ShownWorth"
"""Name of the objective that reads what pictures show."""

_RANDOM = 1024  # points, for their median
_WIDTH = 10.0  # of the function's cube, in its own units
_LOW, _HIGH, _LEVELS = -24.0, 8.0, 2**24 - 1  # worths that a colour can show, and how many


class HiddenOptimum:
    """What settings are worth: Levy's function of what a model sees of them, whose optimum is elsewhere for each seed.

    Settings that have the same effect are worth the same, as with FABRIC itself.

    Args:
        plan: of the run, for its space.
        seed: of the place of the optimum.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        dimensions = plan.encoding.dimensions
        self._best = plan.encoding.features(0.1 + 0.8 * sobol_point(dimensions, 0, seed))
        self._function = Levy(len(self._best), dtype=torch.float64)
        points = SobolEngine(dimensions, scramble=True, seed=0).draw(_RANDOM, dtype=torch.float64)
        self._usual = float(self._values(points).median())

    def gap(self, params: FabricParams) -> float:
        """How much of the way from usual settings to the best ones is left, 0 to 1 and more."""
        point = self.plan.encoding.encode(self.plan.space.values(params))
        assert point is not None, "settings of the space have all of its parameters"
        return float(self._values(point[None])) / self._usual

    def _values(self, points: Tensor) -> Tensor:
        """Of points of the unit cube, B x d to B; the least is 0."""
        away = (self.plan.encoding.features(points) - self._best) * _WIDTH
        return self._function.evaluate_true(1 + away)  # its own optimum is at ones


class SimulatedGpu(FabricGenerator):
    """Sleeps as long as images take, and shows in each what its settings are worth, with noise.

    Args:
        optimum: says what settings are worth; usual ones are worth -1, as are images without feedback.
        seconds: that an image takes.
        noise: standard deviation of what an image shows.
    """

    def __init__(self, optimum: HiddenOptimum, seconds: float, noise: float) -> None:
        self.pipeline: Any = SimpleNamespace(scheduler=None)  # there is no model
        self.bank = ReferenceBank()
        self.seconds = seconds
        self.noise = noise
        self._gap = cache_of(optimum.gap)

    def __call__(
        self,
        requests: Sequence[Request],
        steps: int = 20,
        size: tuple[int, int] | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> Generated:
        """See `FabricGenerator`."""
        time.sleep(self.seconds * len(requests))
        assert size is not None, "there is no model that has a size of its own"
        worths = torch.tensor([self._worth(request) for request in requests], dtype=torch.float64)
        images = as_colours(worths)[:, :, None, None].expand(-1, -1, *size)
        return Generated(images, [request.prompt for request in requests], [{} for _ in requests])

    def _worth(self, request: Request) -> float:
        has_feedback = bool(request.liked or request.disliked) and request.params.strength > 0
        gap = self._gap(request.params) if has_feedback else 1.0
        luck = generator_for("luck", request.prompt, request.seed, f"{gap:.9f}")
        return self.noise * float(torch.randn((), generator=luck)) - gap


def image_noise(plan: Plan) -> float:
    """Noise of an image with which a trial has the one that test functions have."""
    return NOISE * float(len(plan.tasks) * plan.protocol.images) ** 0.5


def cache_of(gap: Callable[[FabricParams], float]) -> Callable[[FabricParams], float]:
    """Works out what settings are worth once for all images of a batch; they hold dictionaries, so by their text."""
    by_text: dict[str, FabricParams] = {}
    known = cache(lambda text: gap(by_text[text]))

    def found(params: FabricParams) -> float:
        text = repr(params)
        by_text[text] = params
        return known(text)

    return found


def as_colours(worths: Tensor) -> Tensor:
    """Worths as colours of three bytes, B to B x 3 in [-1, 1]."""
    levels = ((worths.clamp(_LOW, _HIGH) - _LOW) / (_HIGH - _LOW) * _LEVELS).round().long()
    bytes_ = torch.stack([levels >> 16, (levels >> 8) & 255, levels & 255], dim=-1)
    return (bytes_.double() / 127.5 - 1).float()


class ShownWorth(Objective):
    """What a picture of a `SimulatedGpu` shows."""

    name = OBJECTIVE

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """See `Objective`."""
        return [_shown(image) for image in images]


def _shown(image: Image) -> float:
    colour: Any = image.getpixel((0, 0))
    red, green, blue = colour
    return _LOW + (_HIGH - _LOW) * ((red << 16) + (green << 8) + blue) / _LEVELS
