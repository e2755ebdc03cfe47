"""Optuna samplers: ours, and Optuna's own as baselines.

The names in `__all__` are its interface. Each is imported when it is first asked for, since some take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.samplers.baselines import SAMPLERS, Baseline, create_sampler
    from optimizer.samplers.gp import GaussianProcessSampler
    from optimizer.samplers.known_first import KnownFirst
    from optimizer.samplers.model_based import ModelSampler

__all__ = [
    "SAMPLERS",
    "Baseline",
    "GaussianProcessSampler",
    "KnownFirst",
    "ModelSampler",
    "create_sampler",
]

_MODULES = {
    "SAMPLERS": "optimizer.samplers.baselines",
    "Baseline": "optimizer.samplers.baselines",
    "GaussianProcessSampler": "optimizer.samplers.gp",
    "KnownFirst": "optimizer.samplers.known_first",
    "ModelSampler": "optimizer.samplers.model_based",
    "create_sampler": "optimizer.samplers.baselines",
}

if not TYPE_CHECKING:  # for type checkers it would make any name an attribute

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
