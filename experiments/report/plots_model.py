"""Plots of the model: which parameters matter, what each does around the best setting, and the front of objectives."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.report.findings import Findings
from experiments.report.style import (
    INK,
    MUTED,
    NEUTRAL,
    TUNED,
    Layout,
    Plot,
    fit_range,
    legend_below,
    panels,
    preset_colour,
    preset_marker,
    reach,
)
from optimizer.gp import lengthscales
from optimizer.recommendation import Recommendation
from optimizer.sensitivity import Slice


def model_plots(found: Findings) -> list[Plot]:
    """Which parameters matter, and slices, of each objective."""
    plots = []
    for m, objective in enumerate(found.objectives):
        importances = sorted(((found.label(name), x) for name, x in found.importances[m].items()), key=lambda x: -x[1])
        plots.append(
            Plot(
                f"importance-{m}",
                f"Which parameters matter: {objective}",
                "Total Sobol index of the model's mean over the whole space: the share of its variance that is left "
                "when all other parameters are held. More than 100 % together means that parameters act jointly.",
                "Bars: " + ", ".join(f"{name} {share:.0%}" for name, share in importances) + ".",
                partial(_importance, importances),
            )
        )
        best = found.models[m].recommendation.number
        plots.append(
            Plot(
                f"slices-{m}",
                f"The model around trial {best}: {objective}",
                f"One parameter moves, the others stay as in trial {best} (vertical line). Band: 95 % interval. Dots "
                "are trials, the stronger the more alike they are in the other parameters.",
                f"Posterior mean and interval along each of {len(importances)} parameters, with observed points.",
                partial(_slices, found, m),
            )
        )
    return plots


def front_plots(found: Findings) -> list[Plot]:
    """The first objective against each other one; none where there is only one."""
    first = found.objectives[0]
    return [
        Plot(
            f"front-{m}",
            f"{first} against {other}",
            f"What the model believes of each trial, in gain over no feedback: {len(found.front)} settings of which "
            "none is better in everything, with 95 % intervals in both directions.",
            f"Pareto front: {len(found.front)} settings from "
            f"{_pair(found.front[0], m)} to {_pair(found.front[-1], m)} ({first}, {other}).",
            partial(_front, found, m),
        )
        for m, other in enumerate(found.objectives)
        if m > 0
    ]


def _pair(setting: tuple[Recommendation, ...], m: int) -> str:
    return f"({setting[0].mean:+.3f}, {setting[m].mean:+.3f})"


def _importance(importances: list[tuple[str, float]], layout: Layout) -> Figure:
    figure, (axis,) = panels(layout, 1, 0.32 * len(importances) + 0.7)
    for row, (_, share) in enumerate(importances):
        axis.barh(row, share, color=TUNED, height=0.62)
        axis.annotate(f"{share:.0%}", (share, row), (5, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(importances)), [name for name, _ in importances], color=INK)
    axis.set_ylim(len(importances) - 0.4, -0.6)
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.margins(x=0.1)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("share of the variance (total Sobol index)")
    return figure


def _slices(found: Findings, m: int, layout: Layout) -> Figure:
    """A panel for each parameter, on a common vertical axis."""
    figure, axes = panels(layout, len(found.slices[m]), 2.6 if not layout.narrow else 2.3)
    values = [trial.values[m] for trial in found.tried]
    lows = [
        mean - half for slice_ in found.slices[m] for mean, half in zip(slice_.means, reach(slice_.errors), strict=True)
    ]
    highs = [
        mean + half for slice_ in found.slices[m] for mean, half in zip(slice_.means, reach(slice_.errors), strict=True)
    ]
    for k, (axis, slice_) in enumerate(zip(axes, found.slices[m], strict=True)):
        _slice(axis, found, m, slice_, fit_range(axis, values, [*lows, *highs]))
        if layout.narrow or k % layout.columns == 0:
            axis.set_ylabel("gain")
    handles: list[Artist] = [
        Line2D([], [], color=TUNED, lw=2.2, label="model's mean"),
        Patch(color=TUNED, alpha=0.16, label="95 % interval"),
        Line2D([], [], color=INK, marker="o", ls="", ms=4, label="trial"),
        Line2D([], [], color=TUNED, lw=1.2, ls=":", label=f"trial {found.models[m].recommendation.number}"),
    ]
    legend_below(figure, handles, layout)
    return figure


def _slice(axis: Axes, found: Findings, m: int, slice_: Slice, floor: float) -> None:
    means, halves = np.array(slice_.means), np.array(reach(slice_.errors))
    place_of = partial(_place, found.encoding.space[slice_.name])
    x = np.array([place_of(value) for value in slice_.values])
    axis.fill_between(x, means - halves, means + halves, color=TUNED, alpha=0.16, lw=0)
    axis.plot(x, means, color=TUNED, lw=2.2)
    axis.axhline(0, color=NEUTRAL, lw=1, ls="--")
    fitted = found.models[m]
    axis.axvline(place_of(found.encoding.decode(fitted.point)[slice_.name]), color=TUNED, lw=1.2, ls=":")
    closeness = _closeness(found, m, slice_.name)
    for place, trial in enumerate(found.tried):
        value = trial.values[m]
        if value >= floor:
            at = place_of(found.encoding.decode(fitted.X[place])[slice_.name])
            axis.plot(at, value, "o", color=INK, alpha=float(closeness[place]), ms=4, mew=0, zorder=4)
    distribution = found.encoding.space[slice_.name]
    if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if isinstance(distribution, CategoricalDistribution):
        axis.set_xticks(x, [str(choice) for choice in slice_.values])
    axis.set_title(found.label(slice_.name))


def _place(distribution: BaseDistribution, value: Any) -> float:
    """Where a value stands on an axis: a choice at its place among the others."""
    is_choice = isinstance(distribution, CategoricalDistribution)
    return float(distribution.to_internal_repr(value) if is_choice else value)


def _closeness(found: Findings, m: int, name: str) -> NDArray[np.float64]:
    """How alike trials and the best one are in all parameters but one, by the model's lengthscales; 0.12 to 1."""
    fitted = found.models[m]
    with torch.no_grad():
        columns, moved = found.encoding.columns[name], fitted.X.clone()
        moved[:, columns] = fitted.point[columns]
        apart = found.encoding.features(moved) - found.encoding.features(fitted.point)
        apart = apart / lengthscales(fitted.model.covar_module)
        alike = (-0.5 * apart.square().sum(1)).exp()
    return np.clip(alike.numpy(), 0.12, 1.0)


def _front(found: Findings, m: int, layout: Layout) -> Figure:
    """Posteriors of all trials, the front with intervals, presets in their colours."""
    figure, (axis,) = panels(layout, 1, 5.0 if not layout.narrow else 4.2)
    pairs = list(zip(found.models[0].settings, found.models[m].settings, strict=True))
    axis.plot([a.mean for a, _ in pairs], [b.mean for _, b in pairs], "o", color=MUTED, alpha=0.45, ms=5, mew=0)
    front = [(setting[0], setting[m]) for setting in found.front]
    axis.plot([a.mean for a, _ in front], [b.mean for _, b in front], color=TUNED, lw=1.2, alpha=0.6)
    for a, b in front:
        axis.plot([a.low, a.high], [b.mean, b.mean], color=TUNED, lw=1, alpha=0.45)
        axis.plot([a.mean, a.mean], [b.low, b.high], color=TUNED, lw=1, alpha=0.45)
        axis.plot(a.mean, b.mean, "o", color=TUNED, ms=7, mec="white", zorder=5)
        axis.annotate(f"{a.number}", (a.mean, b.mean), (6, 5), textcoords="offset points", fontsize=8.5, color=TUNED)
    handles = [
        Line2D([], [], color=TUNED, marker="o", lw=1.2, label="front, with trial number"),
        Line2D([], [], color=MUTED, marker="o", ls="", alpha=0.6, label="other trials"),
    ]
    for (a, b), trial in zip(pairs, found.tried, strict=True):
        if trial.preset:
            look = {"color": preset_colour(trial.preset), "marker": preset_marker(trial.preset)}
            axis.plot(a.mean, b.mean, ms=8, mec="white", zorder=6, **look)  # type: ignore[arg-type]
            handles.append(Line2D([], [], ls="", ms=7, label=trial.preset, **look))  # type: ignore[arg-type]
    axis.plot(0, 0, "x", color=NEUTRAL, ms=9, mew=2, zorder=6)
    handles.append(Line2D([], [], color=NEUTRAL, marker="x", ls="", mew=2, label="no feedback"))
    axis.set(xlabel=f"gain ({found.objectives[0]})", ylabel=f"gain ({found.objectives[m]})")
    legend_below(figure, handles, layout)
    return figure
