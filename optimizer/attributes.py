"""What trials say about themselves: user attributes that a study keeps and that the optimiser reads."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial

STANDARD_ERROR = "optimizer:standard-error"
"""The standard error of the trial's value, a number or one for each objective."""

SCORES = "optimizer:scores"
"""The trial's score in each block, by the block's name; all trials have the same blocks.

A number, or one for each objective. With it noise is known from pairs, and pruned trials count by the blocks that they
have; see `optimizer.blocks`.
"""

CONSTRAINT_SCORES = "optimizer:constraint-scores"
"""What a trial's constraints are in each block: by the constraint's name, its value by the block's name.

The mean over blocks is the value that Optuna's `Trial.set_constraint` states, of which at most 0 is allowed. With it
the noise of constraints is known from pairs.
"""

LOST = "optimizer:lost"
"""True for a trial that failed because its process was stopped or died, not by its settings."""

_FORMER = {
    STANDARD_ERROR: "fabric-bo:standard-error",
    SCORES: "fabric-bo:scores",
    LOST: "fabric-bo:lost",
}  # in studies made before the keys had their present names


def read_attribute(trial: FrozenTrial, key: str) -> Any:
    """What a trial says under a key of this module or under the key's former name; None where it says nothing."""
    return trial.user_attrs.get(key, trial.user_attrs.get(_FORMER.get(key, key)))
