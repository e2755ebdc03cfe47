"""Plots of the comparison by round: scores, what the first arm is better by, and other measures, with 95 % bands.

Notation:
    P: tasks, R: rounds, n: images of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.comparison.arms import Measured
from experiments.comparison.result import Comparison
from experiments.intervals import mean_interval
from experiments.report.by_round import round_differences
from experiments.report.style import INK, Layout, Plot, arm_colour, legend_below, panels

Table = NDArray[np.float64]
_OF_ROUND: dict[str, Callable[[Table], Table]] = {
    "best image": lambda scores: scores.max(2),
    "mean": lambda scores: scores.mean(2),
    "worst image": lambda scores: scores.min(2),
}
MEASURES = {
    "clip-liked": "similarity to liked images",
    "clip-disliked": "similarity to disliked images",
    "diversity": "diversity within a round",
    "classifier-stated": "what the prompt states is there",
    "classifier-unstated": "what only the target shows is there",
}
"""What measures are called."""
_BANDS = "Bands: 95 % intervals over prompts, of the tuned settings, the best preset and no feedback."


def round_plots(found: Comparison) -> list[Plot]:
    """All plots of a comparison that have rounds along an axis."""
    levels = [
        Plot(
            f"rounds-{place}",
            f"Round by round: {objective}",
            f"Best, mean and worst image of a round, averaged over prompts. {_BANDS} They hold the differences between "
            "prompts too, so bands may overlap where the difference is clear: that is the next plot.",
            f"Curves of {objective} by round for each arm. The table below has the numbers.",
            partial(_rounds, found, objective),
        )
        for place, objective in enumerate(found.differences)
    ]
    first = found.arms[0].arm.name
    differences = Plot(
        "round-differences",
        f"What {first} is better by, round by round",
        "Paired by prompt, by the mean score of a round's images, with 95 % intervals for the best preset and no "
        "feedback. Round 1 knows only feedback that was given from the start, if any.",
        f"Curves by round of {first} minus each other arm. The table below has the numbers.",
        partial(_differences, found),
    )
    return [*levels, *([differences] if levels else []), *_measures_plot(found)]


def measure_name(name: str) -> str:
    """What a measure is called."""
    return MEASURES.get(name, name)


def _measures_plot(found: Comparison) -> list[Plot]:
    """None where nothing was measured besides the objectives."""
    if not found.arms[0].measures:
        return []
    caption = (
        f"Averaged over prompts; rounds before any feedback have no similarity to it. {_BANDS} Diversity tends to fall "
        "as images come closer to what is liked."
    )
    alt = f"Curves by round for each arm of {', '.join(map(measure_name, found.arms[0].measures))}."
    return [Plot("measures", "What feedback does to the images", caption, alt, partial(_measures, found))]


def _rounds(found: Comparison, objective: str, layout: Layout) -> Figure:
    """Best, mean and worst image of a round."""
    figure, axes = panels(layout, len(_OF_ROUND), _height(layout))
    for axis, (title, of_round) in zip(axes, _OF_ROUND.items(), strict=True):
        for measured in found.arms:
            _curve(axis, found, measured, _intervals(of_round(measured.scores[objective])))
        axis.set_title(title)
    axes[0].set_ylabel(objective)
    _legend(figure, found, found.arms, layout)
    return figure


def _differences(found: Comparison, layout: Layout) -> Figure:
    """A panel for each objective, a curve for each other arm."""
    figure, axes = panels(layout, len(found.differences), _height(layout), columns=2)
    for axis, objective in zip(axes, found.differences, strict=True):
        axis.axhline(0, color=INK, lw=1)
        for measured in found.arms[1:]:
            rounds = round_differences(found, objective, measured).rounds
            _curve(axis, found, measured, np.array([(one.mean, one.low, one.high) for one in rounds]).T)
        axis.set_title(objective)
    axes[0].set_ylabel(f"{found.arms[0].arm.name} minus the other")
    _legend(figure, found, found.arms[1:], layout)
    return figure


def _measures(found: Comparison, layout: Layout) -> Figure:
    """A panel for each measure."""
    names = list(found.arms[0].measures)
    figure, axes = panels(layout, len(names), _height(layout))
    for axis, name in zip(axes, names, strict=True):
        for measured in found.arms:
            _curve(axis, found, measured, _intervals(measured.measures[name]))
        axis.set_title(measure_name(name))
        axis.set_xlim(0.8, measured.measures[name].shape[1] + 0.2)
    _legend(figure, found, found.arms, layout)
    return figure


def _height(layout: Layout) -> float:
    return 2.7 if layout.narrow else 3.4


def _intervals(table: Table) -> Table:
    """Means with both ends of their 95 % intervals over prompts, 3 x R; NaN where a round has no values.

    Args:
        table: P x R.
    """
    nothing = (np.nan, np.nan, np.nan)
    return np.array([nothing if np.isnan(column).any() else mean_interval(column) for column in table.T]).T


def _curve(axis: Axes, found: Comparison, measured: Measured, values: Table) -> None:
    """An arm by round, 3 x R; those that matter most are stronger and have bands."""
    chief = measured.arm.kind == "tuned" or measured.arm.name == found.best_preset
    rounds = np.arange(1, values.shape[1] + 1)
    colour = colour_among(found, measured)
    if chief or measured.arm.kind == "plain":
        axis.fill_between(rounds, values[1], values[2], color=colour, alpha=0.13, lw=0)
    axis.plot(
        rounds,
        values[0],
        color=colour,
        lw=2.6 if chief else 1.5,
        ls=_dashes(measured),
        marker="o",
        ms=5 if chief else 3.5,
        alpha=1 if chief else 0.85,
        zorder=3 if chief else 2,
    )
    axis.set_xlabel("round")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def colour_among(found: Comparison, measured: Measured) -> str:
    """Colour of an arm, told apart from those of the other arms."""
    return arm_colour(measured.arm, [measured.arm for measured in found.arms])


def _dashes(measured: Measured) -> str:
    return {"plain": "--", "without feedback": "--", "best known": ":"}.get(measured.arm.kind, "-")


def _legend(figure: Figure, found: Comparison, arms: Sequence[Measured], layout: Layout) -> None:
    handles = [
        Line2D([], [], color=colour_among(found, arm), ls=_dashes(arm), marker="o", ms=4, label=arm_label(found, arm))
        for arm in arms
    ]
    legend_below(figure, handles, layout)


def arm_label(found: Comparison, measured: Measured) -> str:
    """The name of an arm, and whether it is the best preset."""
    return f"{measured.arm.name} (best preset)" if measured.arm.name == found.best_preset else measured.arm.name
