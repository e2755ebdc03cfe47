"""The next parameters to try, from past pairs of parameters and score.

This package knows no image and no model. Of the other three it may import only `fabric.params`,
the plain parameter dataclasses; `objectives` and `experiments` are out of bounds.

The names in `__all__` are its interface. Each is imported when it is first asked for, since some take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.attributes import LOST, SCORES, STANDARD_ERROR
    from optimizer.choices import PreferenceData
    from optimizer.encoding import Encoding, FeatureMap
    from optimizer.observations import Observations, observe
    from optimizer.preference import PreferenceGP, fit_preference
    from optimizer.qeubo import propose_look
    from optimizer.recommendation import FittedModel, Recommendation, fit_model, pareto, recommend
    from optimizer.samplers.baselines import SAMPLERS, create_sampler
    from optimizer.samplers.gp import GaussianProcessSampler
    from optimizer.sensitivity import Slice, importance, slices

__all__ = [
    "LOST",
    "SAMPLERS",
    "SCORES",
    "STANDARD_ERROR",
    "Encoding",
    "FeatureMap",
    "FittedModel",
    "GaussianProcessSampler",
    "Observations",
    "PreferenceData",
    "PreferenceGP",
    "Recommendation",
    "Slice",
    "create_sampler",
    "fit_model",
    "fit_preference",
    "importance",
    "observe",
    "pareto",
    "propose_look",
    "recommend",
    "slices",
]

_MODULES = {
    "LOST": "optimizer.attributes",
    "SAMPLERS": "optimizer.samplers.baselines",
    "SCORES": "optimizer.attributes",
    "STANDARD_ERROR": "optimizer.attributes",
    "Encoding": "optimizer.encoding",
    "FeatureMap": "optimizer.encoding",
    "FittedModel": "optimizer.recommendation",
    "GaussianProcessSampler": "optimizer.samplers.gp",
    "Observations": "optimizer.observations",
    "PreferenceData": "optimizer.choices",
    "PreferenceGP": "optimizer.preference",
    "Recommendation": "optimizer.recommendation",
    "Slice": "optimizer.sensitivity",
    "create_sampler": "optimizer.samplers.baselines",
    "fit_model": "optimizer.recommendation",
    "fit_preference": "optimizer.preference",
    "importance": "optimizer.sensitivity",
    "observe": "optimizer.observations",
    "pareto": "optimizer.recommendation",
    "propose_look": "optimizer.qeubo",
    "recommend": "optimizer.recommendation",
    "slices": "optimizer.sensitivity",
}

if not TYPE_CHECKING:  # for type checkers it would make any name an attribute

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
