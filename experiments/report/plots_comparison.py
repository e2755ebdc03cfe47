"""Plots of the comparison on held-out prompts: what the tuned settings are better by, round by round, at what cost.

Notation:
    P: tasks, R: rounds, n: images of a round.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.comparison.arms import Measured
from experiments.comparison.result import Comparison
from experiments.report.style import (
    INK,
    MUTED,
    Layout,
    Plot,
    arm_colour,
    legend_below,
    name_colour,
    panels,
)

Curve = NDArray[np.float64]
_OF_ROUND: dict[str, Callable[[Curve], Curve]] = {
    "best image": lambda scores: scores.max(2).mean(0),
    "mean": lambda scores: scores.mean((0, 2)),
    "worst image": lambda scores: scores.min(2).mean(0),
}
MEASURES = {
    "clip-liked": "similarity to liked images",
    "clip-disliked": "similarity to disliked images",
    "diversity": "diversity within a round",
    "classifier-stated": "what the prompt states is there",
    "classifier-unstated": "what only the target shows is there",
}
"""What measures are called."""


def comparison_plots(found: Comparison) -> list[Plot]:
    """All plots of a comparison."""
    rounds = [
        Plot(
            f"rounds-{place}",
            f"Round by round: {objective}",
            "Best, mean and worst image of a round, averaged over prompts. Round 1 knows only feedback that "
            "was given from the start, if any.",
            f"Curves of {objective} by round for each arm. The table below has the numbers.",
            partial(_rounds, found, objective),
        )
        for place, objective in enumerate(found.differences)
    ]
    time = Plot(
        "time",
        "Time for an image",
        "Mean over the images of an arm, without scoring.",
        "Bars: " + ", ".join(f"{measured.arm.name} {_seconds(measured)}" for measured in found.arms) + ".",
        partial(_time, found),
    )
    return [_differences_plot(found), *rounds, *_measures_plot(found), time]


def _differences_plot(found: Comparison) -> Plot:
    first, pairs = found.arms[0].arm.name, len(found.prompts)
    return Plot(
        "differences",
        f"What {first} is better by",
        f"Mean paired difference over {pairs} prompts, the same seeds for all, with its 95 % interval (Student's t): "
        f"right of zero, {first} is better. Best-of-N takes the best image of as many as {first} needed.",
        f"Forest plot: {first} minus each other arm, with 95 % intervals. The table below has the numbers.",
        partial(_forest, found),
    )


def _measures_plot(found: Comparison) -> list[Plot]:
    """None where nothing was measured besides the objectives."""
    if not found.arms[0].measures:
        return []
    caption = (
        "Averaged over prompts; rounds before any feedback have no similarity to it. Diversity tends to fall as images "
        "come closer to what is liked."
    )
    alt = f"Curves by round for each arm of {', '.join(map(_measure, found.arms[0].measures))}."
    return [Plot("measures", "What feedback does to the images", caption, alt, partial(_measures, found))]


def _measure(name: str) -> str:
    return MEASURES.get(name, name)


def _colour(found: Comparison, measured: Measured) -> str:
    return arm_colour(measured.arm, [measured.arm for measured in found.arms])


def _forest(found: Comparison, layout: Layout) -> Figure:
    """A panel for each objective, an arm in each row."""
    rows = max(map(len, found.differences.values()))
    figure, axes = panels(layout, len(found.differences), 0.36 * rows + 0.9, columns=2)
    for axis, (objective, differences) in zip(axes, found.differences.items(), strict=True):
        colours = {measured.arm.name: _colour(found, measured) for measured in found.arms}
        for row, (name, difference) in enumerate(differences.items()):
            colour = colours.get(name, name_colour(name))
            axis.plot([difference.low, difference.high], [row, row], color=colour, lw=2.4, solid_capstyle="butt")
            axis.plot(difference.mean, row, "o" if name in colours else "D", color=colour, ms=7, mec="white", mew=0.8)
            axis.annotate(
                f"{difference}" if not layout.narrow else f"{difference.mean:+.3f}",
                (1.01, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8.5,
                color=INK,
            )
        axis.axvline(0, color=INK, lw=1)
        axis.set_yticks(range(len(differences)), [_short(name, layout) for name in differences], color=INK)
        axis.set_ylim(len(differences) - 0.5, -0.5)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set(title=objective, xlabel=f"{found.arms[0].arm.name} minus the other")
    return figure


def _short(name: str, layout: Layout) -> str:
    return name.replace(", ", ",\n") if layout.narrow else name


def _curve(axis: Axes, found: Comparison, measured: Measured, values: Curve) -> None:
    """An arm by round; the two that matter most are stronger."""
    chief = measured.arm.kind == "tuned" or measured.arm.name == found.best_preset
    axis.plot(
        np.arange(1, len(values) + 1),
        values,
        color=_colour(found, measured),
        lw=2.6 if chief else 1.5,
        ls=_dashes(measured),
        marker="o",
        ms=5 if chief else 3.5,
        alpha=1 if chief else 0.85,
        zorder=3 if chief else 2,
    )
    axis.set_xlabel("round")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _dashes(measured: Measured) -> str:
    return "--" if measured.arm.kind in ("plain", "without feedback") else "-"


def _legend(figure: Figure, found: Comparison, layout: Layout) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=_colour(found, measured),
            ls=_dashes(measured),
            marker="o",
            ms=4,
            label=_named(found, measured),
        )
        for measured in found.arms
    ]
    legend_below(figure, handles, layout)


def _named(found: Comparison, measured: Measured) -> str:
    return f"{measured.arm.name} (best preset)" if measured.arm.name == found.best_preset else measured.arm.name


def _rounds(found: Comparison, objective: str, layout: Layout) -> Figure:
    """Best, mean and worst image of a round."""
    figure, axes = panels(layout, len(_OF_ROUND), 3.4 if not layout.narrow else 2.7)
    for axis, (title, of_round) in zip(axes, _OF_ROUND.items(), strict=True):
        for measured in found.arms:
            _curve(axis, found, measured, of_round(measured.scores[objective]))
        axis.set_title(title)
    axes[0].set_ylabel(objective)
    _legend(figure, found, layout)
    return figure


def _measures(found: Comparison, layout: Layout) -> Figure:
    """A panel for each measure."""
    names = list(found.arms[0].measures)
    figure, axes = panels(layout, len(names), 3.4 if not layout.narrow else 2.7)
    for axis, name in zip(axes, names, strict=True):
        for measured in found.arms:
            _curve(axis, found, measured, measured.measures[name].mean(0))
        axis.set_title(_measure(name))
        axis.set_xlim(0.8, measured.measures[name].shape[1] + 0.2)
    _legend(figure, found, layout)
    return figure


def _seconds(measured: Measured) -> str:
    """Of an image of an arm."""
    return "not made anew" if measured.seconds is None else f"{measured.seconds:.2f} s"


def _time(found: Comparison, layout: Layout) -> Figure:
    """A bar for each arm."""
    figure, (axis,) = panels(layout, 1, 0.32 * len(found.arms) + 0.8)
    for row, measured in enumerate(found.arms):
        length = measured.seconds or 0.0
        axis.barh(row, length, color=_colour(found, measured), height=0.62)
        axis.annotate(_seconds(measured), (length, row), (5, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(found.arms)), [_short(measured.arm.name, layout) for measured in found.arms], color=INK)
    axis.set_ylim(len(found.arms) - 0.4, -0.6)
    axis.margins(x=0.12)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("seconds", color=MUTED)
    return figure
