"""The paper's figures, drawn anew with intervals over prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.intervals import mean_interval
from experiments.paper.arms import BOTH, DISLIKED, DROPOUT, LIKED, NONE, SWEEP, Kind, PaperArm
from experiments.paper.claims import Record
from experiments.paper.verdicts import Records
from experiments.report.style import INK, NEUTRAL, TUNED, Layout, Plot, legend_below, panels

ByRound = Callable[[Record], NDArray[np.float64]]
"""From a record to P x R."""
_COLOURS = {NONE: NEUTRAL, BOTH: TUNED, LIKED: "#009e73", DISLIKED: "#d55e00", DROPOUT: "#cc79a7"}
_SO_FAR: ByRound = lambda r: np.maximum.accumulate(r.scores.max(axis=2), axis=1)  # noqa: E731
_OF_ROUND: dict[str, ByRound] = {
    "best image": lambda r: r.scores.max(axis=2),
    "mean": lambda r: r.scores.mean(axis=2),
    "worst image": lambda r: r.scores.min(axis=2),
}


@dataclass(frozen=True)
class _Curves:
    """Curves by round.

    Attributes:
        name: of the plot's file.
        number: of the experiment.
        title: of the plot.
        caption: below it.
        kind: the experiment.
        arms: a curve for each.
        panels: what is drawn, a panel for each.
    """

    name: str
    number: str
    title: str
    caption: str
    kind: Kind
    arms: tuple[PaperArm, ...]
    panels: Mapping[str, ByRound]


def _measured(name: str) -> ByRound:
    return lambda record: record.measures[name]


_SWEPT: tuple[Kind, ...] = ("preference", "target")
_FED_BACK = (NONE, DISLIKED, LIKED, BOTH)
_CURVES = (
    _Curves(
        "figure-3a",
        "E3",
        "Figure 3a: best image so far",
        "By the preference judge.",
        "preference",
        (NONE, BOTH),
        {"best image so far": _SO_FAR},
    ),
    _Curves(
        "figure-3b",
        "E2",
        "Figure 3b: best, mean and worst image of a round",
        "By the preference judge.",
        "preference",
        (NONE, BOTH),
        _OF_ROUND,
    ),
    _Curves(
        "figure-3c",
        "E4",
        "Figure 3c: similarity to what was liked and disliked",
        "Of no feedback: to its own best and worst images, which it never sees.",
        "preference",
        (NONE, BOTH),
        {"to liked images": _measured("clip-liked"), "to disliked images": _measured("clip-disliked")},
    ),
    _Curves(
        "figure-4",
        "E5",
        "Figure 4: closeness to a hidden target",
        "By what of a round is fed back.",
        "target",
        _FED_BACK,
        _OF_ROUND,
    ),
    _Curves(
        "figure-5a",
        "E7",
        "Figure 5a: dropped words and closeness",
        "Words are dropped with a probability of 0.3.",
        "target",
        (NONE, BOTH, DROPOUT),
        {"best image so far": _SO_FAR},
    ),
    _Curves(
        "figure-5b",
        "E6",
        "Figure 5b: diversity within a round",
        "One minus the mean similarity among its images.",
        "target",
        (NONE, DISLIKED, LIKED, BOTH),
        {"diversity": _measured("diversity")},
    ),
)
_BAND = "Means over prompts; bands are their 95 % intervals (Student's t)."


def plots(numbers: Sequence[str], has: Callable[[Kind], bool], records: Records) -> list[Plot]:
    """The figures of experiments.

    Args:
        numbers: of the experiments.
        has: whether there are prompts for a kind of them.
        records: what arms came to.
    """
    found = [
        Plot(
            curves.name,
            curves.title,
            f"{curves.caption} {_BAND}",
            f"Curves by round of {', '.join(arm.name for arm in curves.arms)}.",
            partial(_draw, curves, records),
        )
        for curves in _CURVES
        if curves.number in numbers
    ]
    if "E9" in numbers:
        caption = f"Mean of the last round minus no feedback's. {_BAND}"
        alt = "Gain over no feedback by strength."
        draw = partial(_draw_strengths, [kind for kind in _SWEPT if has(kind)], records)
        found.append(Plot("strengths", "How much feedback", caption, alt, draw))
    return found


def _draw(curves: _Curves, records: Records, layout: Layout) -> Figure:
    figure, axes = panels(layout, len(curves.panels), 3.2)
    for axis, (title, by_round) in zip(axes, curves.panels.items(), strict=True):
        for arm in curves.arms:
            table = by_round(records(curves.kind, arm))
            rounds = [k for k in range(table.shape[1]) if np.isfinite(table[:, k]).all()]
            _band(axis, np.array(rounds) + 1, table[:, rounds], _COLOURS[arm], "--" if arm == NONE else "-")
        axis.set(title=title, xlabel="round")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [
        Line2D([], [], color=_COLOURS[arm], ls="--" if arm == NONE else "-", label=arm.name) for arm in curves.arms
    ]
    legend_below(figure, lines, layout)
    return figure


def _band(axis: Axes, places: NDArray[np.int64], table: NDArray[np.float64], colour: str, dashes: str = "-") -> None:
    """Means of the columns with their intervals."""
    mean, low, high = np.array([mean_interval(column) for column in table.T]).T
    axis.plot(places, mean, color=colour, ls=dashes, marker="o", ms=4)
    axis.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)


def _draw_strengths(kinds: Sequence[Kind], records: Records, layout: Layout) -> Figure:
    figure, axes = panels(layout, len(kinds), 3.2, columns=2)
    strengths = [arm.knobs["strength"] for arm in SWEEP]
    for axis, kind in zip(axes, kinds, strict=True):
        plain = records(kind, NONE).scores[:, -1].mean(axis=1)
        gains = np.stack([records(kind, arm).scores[:, -1].mean(axis=1) - plain for arm in SWEEP], axis=1)
        _band(axis, np.array(strengths), gains, TUNED)
        axis.axhline(0, color=INK, lw=1)
        axis.set(title=kind, xlabel="strength", xscale="log")
        axis.set_xticks(strengths, [f"{strength:g}" for strength in strengths], minor=False)
        axis.minorticks_off()
    axes[0].set_ylabel("gain over no feedback")
    return figure
