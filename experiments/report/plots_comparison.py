"""Plots of the comparison on held-out prompts: what the tuned settings are better by, and how long an image takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.comparison.arms import Measured
from experiments.comparison.result import Comparison
from experiments.report.by_round import basis
from experiments.report.findings import Findings, same_settings
from experiments.report.plots_rounds import colour_among, round_plots
from experiments.report.style import FAINT, INK, MUTED, Layout, Plot, name_colour, panels
from experiments.run.trials import MADE, TIMES


def comparison_plots(found: Findings, comparison: Comparison) -> list[Plot]:
    """All plots of a comparison."""
    differences = [_differences_plot(comparison)] if comparison.differences else []
    return [*differences, *round_plots(comparison), _time_plot(found, comparison)]


def _differences_plot(found: Comparison) -> Plot:
    first, pairs = found.arms[0].arm.name, len(found.prompts)
    return Plot(
        "differences",
        f"What {first} is better by",
        f"Mean paired difference {basis(found)}, over {pairs} prompts, the same seeds for all, with its 95 % interval "
        f"(Student's t): right of zero, {first} is better. Best-of-N takes the best image of as many as {first} made.",
        f"Forest plot: {first} minus each other arm, with 95 % intervals. The table below has the numbers.",
        partial(_forest, found),
    )


def _forest(found: Comparison, layout: Layout) -> Figure:
    """A panel for each objective, an arm in each row."""
    rows = max(map(len, found.differences.values()))
    figure, axes = panels(layout, len(found.differences), 0.36 * rows + 0.9, columns=2)
    for place, (axis, (objective, differences)) in enumerate(zip(axes, found.differences.items(), strict=True)):
        colours = {measured.arm.name: colour_among(found, measured) for measured in found.arms}
        for row, (name, difference) in enumerate(differences.items()):
            colour = colours.get(name, name_colour(name))
            axis.plot([difference.low, difference.high], [row, row], color=colour, lw=2.4, solid_capstyle="butt")
            axis.plot(difference.mean, row, "o" if name in colours else "D", color=colour, ms=7, mec="white", mew=0.8)
            _beside(axis, row, f"{difference}" if not layout.narrow else f"{difference.mean:+.3f}")
        axis.axvline(0, color=INK, lw=1)
        beside = place % 2 == 1 and not layout.narrow  # its rows are named on the left
        names = ["" if beside else _short(name, layout) for name in differences]
        axis.set_yticks(range(len(differences)), names, color=INK)
        axis.set_ylim(len(differences) - 0.5, -0.5)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set(title=objective, xlabel=f"{found.arms[0].arm.name} minus the other")
    return figure


def _short(name: str, layout: Layout) -> str:
    return name.replace(", ", ",\n") if layout.narrow else name


def _time_plot(found: Findings, comparison: Comparison) -> Plot:
    trials = seconds_by_trial(found)
    return Plot(
        "time",
        "Time for an image",
        "Bars: mean of an arm in the comparison, without scoring. Dots: trials of the run, those of the same settings "
        "beside their arm and all of them in the last row, where the box holds the middle half and the line is the "
        "median. Other work on the machine lengthens them; differences within the spread say nothing of the settings.",
        "Bars: "
        + ", ".join(f"{measured.arm.name} {_seconds(measured)}" for measured in comparison.arms)
        + f". Trials of the run: {spread(list(trials.values()))}.",
        partial(_time, found, comparison),
    )


def seconds_by_trial(found: Findings) -> dict[int, float]:
    """Seconds that a trial took for each image that was generated for it, without scoring, by number."""
    trials = found.study.get_trials(deepcopy=False)
    attributes = {trial.number: trials[trial.number].user_attrs for trial in found.tried}
    return {number: known[TIMES]["generating"] / known[MADE] for number, known in attributes.items() if known.get(MADE)}


def spread(seconds: Sequence[float]) -> str:
    """Median and range of times in words."""
    if not seconds:
        return "not known"
    return f"median {np.median(seconds):.2f} s, from {min(seconds):.2f} to {max(seconds):.2f} s"


def _seconds(measured: Measured) -> str:
    """Of an image of an arm."""
    return "not made anew" if measured.seconds is None else f"{measured.seconds:.2f} s"


def _time(found: Findings, comparison: Comparison, layout: Layout) -> Figure:
    """A bar for each arm with the trials of its settings, and all trials below."""
    trials, arms = seconds_by_trial(found), comparison.arms
    figure, (axis,) = panels(layout, 1, 0.34 * (len(arms) + bool(trials)) + 0.8)
    for row, measured in enumerate(arms):
        length = measured.seconds or 0.0
        axis.barh(row, length, color=colour_among(comparison, measured), height=0.62)
        same = [t.number for t in found.tried if t.number in trials and same_settings(t.params, measured.arm.params)]
        at = [trials[number] for number in same]
        axis.plot(at, [row] * len(at), "o", color=INK, mfc="white", ms=5, zorder=4)
        _beside(axis, row, _seconds(measured))
    names = [_short(measured.arm.name, layout) for measured in arms]
    if trials:
        _all_trials(axis, list(trials.values()), len(arms))
        names.append("all trials")
    axis.set_yticks(range(len(names)), names, color=INK)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(0, 1.05 * max([measured.seconds or 0.0 for measured in arms] + list(trials.values()) + [1e-9]))
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("seconds", color=MUTED)
    return figure


def _all_trials(axis: Axes, seconds: Sequence[float], row: int) -> None:
    """A dot for each trial, over the box of the middle half."""
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    axis.barh(row, high - low, left=low, height=0.62, color=FAINT)
    axis.plot([middle, middle], [row - 0.31, row + 0.31], color=INK, lw=2)
    axis.plot(seconds, [row] * len(seconds), "o", color=INK, alpha=0.45, ms=4, mew=0)
    _beside(axis, row, f"{middle:.2f} s")


def _beside(axis: Axes, row: int, text: str) -> None:
    """A row's number, right of the plot."""
    axis.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK)
