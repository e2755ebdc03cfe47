"""Scores from images: one float per image, higher is better.

This package knows nothing of diffusion or of optimisation.
It imports none of `fabric`, `optimizer` and `experiments`.

The names in `__all__` are its interface. Each is imported when it is first asked for, since some take seconds.
`objectives.testing` has what tests of objectives need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objectives.base import Context, Objective, ObjectiveError
    from objectives.checkpoints import MissingWeightsError, locate
    from objectives.combinators import COMBINATIONS, combine
    from objectives.registry import BUILT_IN, create
    from objectives.scoring import score

__all__ = [
    "BUILT_IN",
    "COMBINATIONS",
    "Context",
    "MissingWeightsError",
    "Objective",
    "ObjectiveError",
    "combine",
    "create",
    "locate",
    "score",
]

_MODULES = {
    "BUILT_IN": "objectives.registry",
    "COMBINATIONS": "objectives.combinators",
    "Context": "objectives.base",
    "MissingWeightsError": "objectives.checkpoints",
    "Objective": "objectives.base",
    "ObjectiveError": "objectives.base",
    "combine": "objectives.combinators",
    "create": "objectives.registry",
    "locate": "objectives.checkpoints",
    "score": "objectives.scoring",
}

if not TYPE_CHECKING:  # for type checkers it would make any name an attribute

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
