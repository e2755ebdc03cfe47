"""Dark mode: the colours of plots and tables, each with the one that takes its place where the reader asks for dark.

A plot is drawn once. Its colours become variables with the light colour as their default, and a style that holds only
where dark is asked for sets them.
"""

from __future__ import annotations

import re

_DARK = {
    "#ffffff": "#15191e",  # paper
    "#1f2933": "#e8edf2",  # ink
    "#66727f": "#a3afbb",
    "#d9dee4": "#36404a",
    "#0072b2": "#4db1ea",
    "#7a7a7a": "#a6a6a6",
    "#0b3c5d": "#8fb8d8",
    "#5b4b8a": "#a594e0",
    "#2a9d8f": "#3fc1b0",
    "#009e73": "#2bc29a",
    "#cc79a7": "#dd97bd",
    "#d55e00": "#f0813a",
}


def themed(colour: str) -> str:
    """A colour as CSS that becomes its dark counterpart where `dark_style` is part of the page.

    Args:
        colour: as `#rrggbb`; one without a counterpart stays what it is.
    """
    return f"var(--c{colour[1:]}, {colour})" if colour in _DARK else colour


def dark_style() -> str:
    """The style sheet that sets the dark colours."""
    variables = "".join(f"--c{light[1:]}: {dark};" for light, dark in _DARK.items())
    return f"@media (prefers-color-scheme: dark) {{ :root {{ {variables} }} }}"


def themed_svg(svg: str) -> str:
    """An SVG of matplotlib that follows the reader's light or dark."""
    coloured = re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda found: themed(found[0]), svg)
    return coloured.replace("<defs>", f"<style>{dark_style()}</style>\n<defs>", 1)
