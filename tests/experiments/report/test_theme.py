"""Every colour of the report's own palette has a dark counterpart."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from experiments.report import style
from experiments.report.style import WIDE, Layout, Plot, panels
from experiments.report.theme import dark_style, themed


def test_the_palette_becomes_variables_that_only_dark_sets() -> None:
    def draw(layout: Layout) -> Figure:
        figure, (axis,) = panels(layout, 1, 2)
        axis.plot([0, 1], color=style.TUNED)
        axis.set_title("title")
        axis.fill_between([0, 1], [0, 1], [1, 2], color=style.NEUTRAL, alpha=0.2)
        return figure

    svg = Plot("one", "", "", "", draw).svg(WIDE)
    bare = set(re.findall(r"(?<!, )#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", svg, flags=re.DOTALL)))
    assert bare == set()
    for colour in ("#ffffff", style.INK, style.MUTED, style.FAINT, style.TUNED, style.NEUTRAL):
        assert themed(colour) == f"var(--c{colour[1:]}, {colour})"
        assert themed(colour) in svg
        assert f"--c{colour[1:]}: #" in dark_style()
    assert svg.count("prefers-color-scheme: dark") == 1
