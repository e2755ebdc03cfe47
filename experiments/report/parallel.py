"""All trials on axes that filter: what the page's script draws, and the table below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.report.findings import Findings, Tried
from experiments.report.tables import NOTHING, Head, Table


def parallel_data(found: Findings) -> dict[str, Any]:
    """Axes, gains first and then parameters from the one that matters most, and a line for each trial."""
    names = _parameters(found)
    gains = [[trial.values[m] for trial in found.tried] for m in range(len(found.objectives))]
    axes = [
        {"name": f"gain: {name}", "type": "value", "min": min(values), "max": max(values)}
        for name, values in zip(found.objectives, gains, strict=True)
    ]
    chosen = {fitted.recommendation.number for fitted in found.models}
    lines = [
        {
            "number": trial.number,
            "values": [*trial.values, *_places(found, row, names)],
            "chosen": trial.number in chosen,
            "pruned": trial.pruned,
        }
        for row, trial in enumerate(found.tried)
    ]
    return {"axes": axes + [_axis(found, name) for name in names], "lines": lines}


def trial_table(found: Findings) -> Table:
    """A row for each trial, named by its number."""
    names = _parameters(found)
    heads = [Head("trial"), Head("from"), *(Head(f"gain: {name}") for name in found.objectives)]
    heads += [Head(found.label(name)) for name in names]
    rows = [
        [f"{trial.number}", _origin(trial), *_gains(trial), *map(_text, _values(found, row, names))]
        for row, trial in enumerate(found.tried)
    ]
    return Table("", heads, rows, sortable=True)


def _parameters(found: Findings) -> list[str]:
    """Names of what was searched, from the one that matters most for the first objective."""
    weights = found.importances[0]
    return sorted(weights, key=lambda name: -weights[name])


def _values(found: Findings, row: int, names: Sequence[str]) -> list[object]:
    """A trial's values of parameters."""
    values = found.encoding.decode(found.observations.X[row])
    return [values[name] for name in names]


def _axis(found: Findings, name: str) -> dict[str, Any]:
    """An axis over the range that was searched."""
    distribution = found.encoding.space[name]
    if isinstance(distribution, CategoricalDistribution):
        return {"name": found.label(name), "type": "category", "data": [str(c) for c in distribution.choices]}
    assert isinstance(distribution, FloatDistribution | IntDistribution), "of no other kind"
    kind = "log" if distribution.log else "value"
    return {"name": found.label(name), "type": kind, "min": distribution.low, "max": distribution.high}


def _places(found: Findings, row: int, names: Sequence[str]) -> list[object]:
    """Where a trial crosses the axes: numbers, and names of choices."""
    return [
        str(value) if isinstance(found.encoding.space[name], CategoricalDistribution) else value
        for name, value in zip(names, _values(found, row, names), strict=True)
    ]


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _origin(trial: Tried) -> str:
    origin = trial.preset or {"search": "model"}.get(trial.phase, trial.phase)
    return f"{origin}, stopped early" if trial.pruned else origin


def _gains(trial: Tried) -> list[str]:
    errors = [NOTHING if math.isnan(error) else f"{error:.3f}" for error in trial.errors]
    return [f"{value:+.3f} ± {error}" for value, error in zip(trial.values, errors, strict=True)]
