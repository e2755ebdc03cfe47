"""What settings must keep to, as trials state it: Optuna's `Trial.set_constraint`, where at most 0 is allowed.

Notation:
    n: trials, c: constraints.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from optuna.trial import FrozenTrial
from torch import Tensor

from optimizer.attributes import scores_of
from optimizer.blocks import effects

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Constraints:
    """Values of constraints, of the trials that are observed.

    Attributes:
        names: c of them.
        values: n x c; at most 0 is allowed.
        variances: n x c, of their noise; None where it is to be learnt.
    """

    names: tuple[str, ...]
    values: Tensor
    variances: Tensor | None

    def with_worst(self, count: int) -> Constraints:
        """So many more trials, which keep to nothing: as bad as the worst in each."""
        worst = self.values.amax(dim=0).expand(count, -1)
        variances = self.variances
        if variances is not None:
            variances = torch.cat([variances, variances.median(dim=0).values.expand(count, -1)])
        return Constraints(self.names, torch.cat([self.values, worst]), variances)


def observe_constraints(
    trials: Sequence[FrozenTrial], replications: Mapping[int, Sequence[FrozenTrial]] = MappingProxyType({})
) -> Constraints | None:
    """Constraints of trials; None where there are none that all of them state.

    Args:
        trials: n that are observed.
        replications: trials that add blocks to one of them, by its number.
    """
    if not trials:
        return None
    stated = [trial.constraints for trial in trials]
    names = tuple(name for name in stated[0] if all(name in values for values in stated))
    if others := sorted(set().union(*stated) - set(names)):
        _log.warning("constraints %s are not stated by all trials, and count for none", ", ".join(others))
    if not names:
        return None
    tables = {name: [scores_of(trial, replications.get(trial.number, ()), name) for trial in trials] for name in names}
    if all(scores for table in tables.values() for scores in table):
        columns = [effects(table) for table in tables.values()]
        values, variances = (torch.from_numpy(np.stack(column, axis=1)) for column in zip(*columns, strict=True))
        return Constraints(names, values, variances)
    return Constraints(names, torch.tensor([[values[name] for name in names] for values in stated]).double(), None)
