"""How `--help` looks: defaults at each option, examples and the knobs at the end."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable

from fabric.knobs import KNOBS, Knob

WIDTH = 80
_NAME = 16  # columns of a knob's name


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Adds the default to an option's help where there is one and the help does not name it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help
        silent = action.default in (None, False, argparse.SUPPRESS, "", [])
        if text is None or silent or "default" in text:
            return text
        return f"{text} (default %(default)s)"


def knob_help(knob: Knob) -> str:
    """What a knob is and does, its range and its default."""
    return f"{knob.meaning} {knob.effect} ({knob.range})"


def knob_list() -> str:
    """All knobs, one below the other, with their ranges and what they are and do."""
    return "knobs, by name in --space and --fix:\n" + "\n".join(_knob(knob) for knob in KNOBS.values())


def _knob(knob: Knob) -> str:
    indent = " " * (_NAME + 2)
    return textwrap.fill(knob_help(knob), WIDTH, initial_indent=f"  {knob.name:<{_NAME}}", subsequent_indent=indent)


def examples(lines: Iterable[str]) -> str:
    """Commands that can be typed as they are, for the end of a command's help."""
    return "examples:\n" + "\n".join(f"  fabric-bo {line}" for line in lines)
