"""Plots of the search: how the values and the model's recommendation came about, and all settings that were tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.comparison.arms import PLAIN
from experiments.report.findings import Findings, Moment, Phase, Tried
from experiments.report.style import (
    FAINT,
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
)

_PHASES: dict[Phase, str] = {"preset": "presets", "design": "design", "search": "model", "given": "given"}
_VALUE = "gain"
_SIDE_BY_SIDE = 8  # names of axes that have room
_SHARE = "start/end"  # see `experiments.run.space.Space`


def convergence_plots(found: Findings) -> list[Plot]:
    """How the recommendation for each objective came about."""
    plots = []
    for m, objective in enumerate(found.objectives):
        moments = found.moments(m)
        best = moments[-1].best
        plots.append(
            Plot(
                f"convergence-{m}",
                f"Gain by trial: {objective}",
                f"Gain over {found.over}; the same prompts and seeds, with standard errors. The line is the setting "
                "that would have been recommended after so many trials, by the model's mean, with its 95 % interval; "
                "the model is fitted anew at each dot. It may fall: a lucky trial is not believed for long.",
                f"Gains of {len(found.tried)} trials; in the end trial {best.number} is believed to gain "
                f"{best.mean:+.3f}, 95 % interval {best.low:+.3f} to {best.high:+.3f}.",
                partial(_convergence, found, m, moments),
            )
        )
    return plots


def parallel_plots(found: Findings) -> list[Plot]:
    """All settings, by their gain in each objective."""
    return [
        Plot(
            f"parallel-{m}",
            f"All settings, by gain: {objective}",
            "One line a trial, across the parameters from the one that matters most; the darker, the more it gained. "
            f"Logarithmic where the search was.{about_window(found)}",
            f"Parallel coordinates of {len(found.tried)} trials over {len(found.encoding.space)} parameters.",
            partial(_parallel, found, m),
        )
        for m, objective in enumerate(found.objectives)
    ]


def about_window(found: Findings) -> str:
    """What a parameter is that is not one of the settings, where it was searched."""
    return (
        f" {_SHARE} is where the window starts, as a share of where it ends." if _SHARE in found.encoding.space else ""
    )


def _convergence(found: Findings, m: int, moments: Sequence[Moment], layout: Layout) -> Figure:
    """Trials in their order, and the recommendation after them."""
    figure, (axis,) = panels(layout, 1, 4.4 if not layout.narrow else 3.9)
    _phases(axis, found, layout)
    steps = [moment.number for moment in moments]
    lows, highs = [moment.best.low for moment in moments], [moment.best.high for moment in moments]
    axis.fill_between(steps, lows, highs, color=TUNED, alpha=0.16, lw=0)
    axis.plot(steps, [moment.best.mean for moment in moments], color=TUNED, lw=2.4, marker=".", ms=6, zorder=4)
    if not found.config.chosen_by_people:
        axis.axhline(0, color=NEUTRAL, lw=1.4, ls="--")
    handles: list[Artist] = [
        Line2D([], [], color=TUNED, lw=2.4, marker=".", label="best by the model's mean"),
        Patch(color=TUNED, alpha=0.16, label="its 95 % interval"),
        *([] if found.config.chosen_by_people else [Line2D([], [], color=NEUTRAL, ls="--", lw=1.4, label=PLAIN)]),
    ]
    if (fixed := found.best_preset) is not None and fixed.preset is not None:
        colour = preset_colour(fixed.preset)
        axis.axhline(fixed.values[m], color=colour, lw=1.6, ls="-.")
        handles.append(Line2D([], [], color=colour, ls="-.", label=f"fixed FABRIC: {fixed.preset}"))
    later = len(lows) // 2  # the first intervals may be very wide
    floor = fit_range(axis, [trial.values[m] for trial in found.tried], [0.0, *lows[later:], *highs[later:]])
    for trial in found.tried:
        _dot(axis, trial, m, floor)
    handles.append(Line2D([], [], color=INK, marker="o", ls="", ms=5, label="trial"))
    if any(trial.pruned for trial in found.tried):
        handles.append(Line2D([], [], color=INK, marker="o", mfc="white", ls="", ms=5, label="stopped early"))
    if math.isfinite(floor):
        handles.append(Line2D([], [], color=MUTED, marker=11, ls="", ms=6, label="below the plot"))
    axis.set(xlabel="trial", ylabel=f"{_VALUE} ({found.objectives[m]})")
    axis.margins(x=0.02)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, handles, layout)
    return figure


def _dot(axis: Axes, trial: Tried, m: int, floor: float) -> None:
    """A trial: its preset's marker and colour, hollow where it was stopped early."""
    value, error = trial.values[m], trial.errors[m]
    colour = preset_colour(trial.preset) if trial.preset else INK
    if value < floor:
        axis.plot(trial.number, floor, marker=11, color=MUTED, ms=6, ls="")
        return
    if math.isfinite(error):
        axis.errorbar(trial.number, value, error, color=colour, lw=1, alpha=0.55)
    marker = preset_marker(trial.preset) if trial.preset else "o"
    face = "white" if trial.pruned else colour
    axis.plot(trial.number, value, marker, color=colour, mfc=face, ms=6 if trial.preset else 4.8, zorder=5)


def _phases(axis: Axes, found: Findings, layout: Layout) -> None:
    """Marks where settings came from."""
    for k, (phase, name) in enumerate(_PHASES.items()):
        numbers = [trial.number for trial in found.tried if trial.phase == phase]
        if not numbers:
            continue
        if phase == "search" and found.config.sampler != "gp":
            name = found.config.sampler
        axis.axvspan(min(numbers) - 0.5, max(numbers) + 0.5, color=FAINT if k % 2 == 0 else "white", alpha=0.35, lw=0)
        short = layout.narrow and len(numbers) < 0.3 * len(found.tried)
        axis.annotate(
            name.split()[0] if short else name,
            ((min(numbers) + max(numbers)) / 2, 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            fontsize=9,
            color=MUTED,
        )


def _parallel(found: Findings, m: int, layout: Layout) -> Figure:
    """Parameters side by side; one below the other on a narrow screen."""
    importances = found.importances[m]
    names = sorted(importances, key=lambda name: -importances[name])
    height = 4.4 if not layout.narrow else 0.75 * (len(names) + 1) + 0.6
    figure, (axis,) = panels(layout, 1, height)
    values = np.array([trial.values[m] for trial in found.tried])
    low, high = float(np.quantile(values, 0.1)), float(values.max())
    colours = ScalarMappable(Normalize(low, high if high > low else low + 1e-9), "viridis_r")
    best = found.models[m].recommendation.number
    for k in np.argsort(values):
        trial = found.tried[k]
        shares = [trial.shares[name] for name in names]
        chosen = trial.number == best
        _line(axis, shares, layout, TUNED if chosen else colours.to_rgba(values[k]), chosen, trial.pruned)
    _rails(axis, found, names, layout)
    bar = figure.colorbar(colours, ax=axis, extend="min", location="bottom" if layout.narrow else "right", pad=0.02)
    bar.set_label(f"{_VALUE} ({found.objectives[m]})")
    bar.outline.set_visible(False)
    label = f"recommended (trial {best})" if len(found.objectives) == 1 else f"best by this objective (trial {best})"
    handles = [Line2D([], [], color=TUNED, lw=3, label=label)]
    if any(trial.pruned for trial in found.tried):
        handles.append(Line2D([], [], color=MUTED, lw=1.2, ls=":", label="stopped early"))
    legend_below(figure, handles, layout)
    return figure


def _line(axis: Axes, shares: list[float], layout: Layout, colour: object, chosen: bool, pruned: bool) -> None:
    places = list(range(len(shares)))
    x, y = (shares, places) if layout.narrow else (places, shares)
    axis.plot(
        x,
        y,
        color=colour,
        lw=3.2 if chosen else 1.4,
        ls=":" if pruned else "-",
        alpha=1 if chosen else 0.8,
        zorder=5 if chosen else 2,
        marker="o" if chosen else None,
        ms=5,
    )


def _rails(axis: Axes, found: Findings, names: list[str], layout: Layout) -> None:
    """An axis for each parameter, with values at quarters of its range."""
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for place, name in enumerate(names):
        (axis.axhline if layout.narrow else axis.axvline)(place, color=MUTED, lw=0.9, zorder=1)
        for share in (0.0, 0.5, 1.0):
            text = _value_at(found, name, share)
            at, shift = ((share, place), (0, -11)) if layout.narrow else ((place, share), (5, 0))
            axis.annotate(
                text,
                at,
                shift,
                textcoords="offset points",
                fontsize=8,
                color=MUTED,
                va="center",
                ha="center" if layout.narrow else "left",
                zorder=6,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
            )
    if layout.narrow:
        axis.set_yticks(range(len(names)), [found.label(name) for name in names], color=INK)
        axis.set_xticks([])
        axis.set_xlim(-0.06, 1.06)
        axis.set_ylim(len(names) - 0.4, -0.4)
    else:
        axis.set_xticks(range(len(names)), [found.label(name) for name in names], color=INK)
        if len(names) > _SIDE_BY_SIDE:
            axis.tick_params(axis="x", rotation=25)
        axis.set_yticks([])
        axis.set_ylim(-0.04, 1.04)
        axis.set_xlim(-0.15, len(names) - 0.65)
    axis.tick_params(length=0)


def _value_at(found: Findings, name: str, share: float) -> str:
    """What a share of a parameter's range stands for."""
    distribution = found.encoding.space[name]
    if isinstance(distribution, CategoricalDistribution):
        return str(distribution.choices[round(share * (len(distribution.choices) - 1))])
    assert isinstance(distribution, FloatDistribution | IntDistribution), "of no other kind"
    low, high = distribution.low, distribution.high
    value = low * (high / low) ** share if distribution.log else low + share * (high - low)
    return f"{value:.2g}"
