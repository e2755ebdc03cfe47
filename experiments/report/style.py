"""What all plots share: colours, one for each arm wherever it appears, sizes for wide and narrow screens, and axes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.comparison.arms import PLAIN, WITHOUT, Arm
from experiments.comparison.result import BEST_OF
from experiments.files.html import data_uri
from experiments.report.theme import themed_svg
from fabric.params import PRESETS

INK, MUTED, FAINT = "#1f2933", "#66727f", "#d9dee4"
TUNED, NEUTRAL = "#0072b2", "#7a7a7a"
_OTHERS = ("#0b3c5d", "#5b4b8a", "#2a9d8f")  # of further tuned settings
_HALF = 24  # characters of a legend that fit into half a narrow plot
_REACH = 1.96  # of a 95 % interval, in standard errors

# After Okabe and Ito (2008), which are told apart with any kind of colour vision.
_PRESETS = dict(zip(PRESETS, ("#009e73", "#cc79a7", "#d55e00", "#56b4e9", NEUTRAL), strict=True))
_MARKERS = dict(zip(PRESETS, "sv^Dx", strict=True))

_LOOK: dict[Any, Any] = {
    "text.parse_math": False,  # names come from outside
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Layout:
    """How wide a plot is.

    Attributes:
        width: in inches.
        columns: panels side by side, at most.
        dpi: dots per inch.
    """

    width: float
    columns: int
    dpi: int

    @property
    def narrow(self) -> bool:
        """Whether it is for a phone."""
        return self.columns == 1


WIDE, NARROW = Layout(10.0, 3, 160), Layout(4.4, 1, 200)


@dataclass(frozen=True)
class Plot:
    """A plot and what is said of it.

    Attributes:
        name: of its file.
        title: above it.
        caption: below it.
        alt: what it shows, for who cannot see it.
        draw: makes it.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Layout], Figure]

    def png(self, layout: Layout) -> bytes:
        """The bytes of a picture file; the same for the same figure."""
        with rc_context(_LOOK), io.BytesIO() as file:
            self.draw(layout).savefig(file, format="png", dpi=layout.dpi, metadata={"Software": None})
            return file.getvalue()

    def svg(self, layout: Layout) -> str:
        """A drawing that follows the reader's light or dark; the same for the same figure."""
        with rc_context({**_LOOK, "svg.hashsalt": self.name}), io.StringIO() as file:
            self.draw(layout).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
            return themed_svg(file.getvalue())


@dataclass(frozen=True)
class Drawn:
    """A plot as the page has it.

    Attributes:
        plot: what is said of it.
        png: bytes of its file.
        wide: as data, for wide screens.
        narrow: as data, for narrow ones.
    """

    plot: Plot
    png: bytes
    wide: str
    narrow: str


def drawn(plot: Plot) -> Drawn:
    """A plot for wide and for narrow screens."""
    wide, narrow = (data_uri(plot.svg(layout).encode(), "image/svg+xml") for layout in (WIDE, NARROW))
    return Drawn(plot, plot.png(WIDE), wide, narrow)


def panels(layout: Layout, count: int, height: float, columns: int | None = None) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels.

    Args:
        layout: how wide.
        count: panels.
        height: of a panel in inches.
        columns: side by side, where there is room; as many as there is room for by default.
    """
    across = min(count, layout.columns, columns or layout.columns)
    down = math.ceil(count / across)
    figure = Figure(figsize=(layout.width, height * down), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def arm_colour(arm: Arm, arms: Iterable[Arm] = ()) -> str:
    """The colour of an arm; of several tuned ones by their place among all arms."""
    if arm.kind == "tuned":
        tuned = [other.name for other in arms if other.kind == "tuned"]
        place = tuned.index(arm.name) if arm.name in tuned else 0
        return (TUNED, *_OTHERS)[min(place, len(_OTHERS))]
    return preset_colour(arm.name) if arm.kind == "preset" else name_colour(arm.name)


def name_colour(name: str) -> str:
    """The colour of an arm that is no tuned setting."""
    if name == WITHOUT:
        return "#e69f00"
    return NEUTRAL if name == PLAIN or name.startswith(BEST_OF.split("{")[0]) else preset_colour(name)


def preset_colour(name: str) -> str:
    """The colour of a preset."""
    return _PRESETS.get(name, NEUTRAL)


def preset_marker(name: str) -> str:
    """The marker of a preset, so that colour is not all that tells them apart."""
    return _MARKERS.get(name, "o")


def reach(errors: Sequence[float]) -> list[float]:
    """Half the width of 95 % intervals."""
    return [_REACH * error for error in errors]


def legend_below(figure: Figure, handles: Sequence[Artist], layout: Layout, columns: int = 4) -> None:
    """One legend for all panels; on a narrow plot in one column where a name would not fit into half of it."""
    fitting = 2 if all(len(str(handle.get_label())) <= _HALF for handle in handles) else 1
    figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=min(len(handles), fitting if layout.narrow else columns),
        fontsize=9,
        handlelength=1.8,
        columnspacing=1.4,
    )


def fit_range(axis: Axes, values: Sequence[float], ends: Sequence[float]) -> float:
    """Sets the vertical range so that a few very bad values do not flatten the rest.

    Args:
        axis: whose range.
        values: what may be cut off below.
        ends: of what is to be seen whole.

    Returns:
        The value at which those below are to be drawn; there are none below minus infinity.
    """
    top, least = max(*values, *ends), min(values)
    middle = float(np.median(values))
    floor = min(*ends, middle - 2.5 * max(top - middle, 1e-9))
    cut = least < floor
    low = floor if cut else min(least, *ends)
    room = 0.06 * max(top - low, 1e-9)
    axis.set_ylim(low - room, top + room)
    return floor if cut else -math.inf
