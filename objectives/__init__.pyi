from .base import Context, Objective, ObjectiveError
from .checkpoints import MissingWeightsError, locate
from .combinators import COMBINATIONS, combine
from .registry import BUILT_IN, create
from .scoring import score

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
