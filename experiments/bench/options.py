"""Checks of what benchmarks are given."""

from __future__ import annotations

import argparse
from collections.abc import Mapping


def check_ranges(options: argparse.Namespace, ranges: Mapping[str, tuple[int, int | None]]) -> None:
    """Checks options that are whole numbers or lists of them.

    Args:
        options: of the command line.
        ranges: least and greatest value by option; None for no greatest.

    Raises:
        ValueError: an option is out of range; the message names it.
    """
    for name, (low, high) in ranges.items():
        given = getattr(options, name)
        for value in given if isinstance(given, list) else [given]:
            if value < low or (high is not None and value > high):
                allowed = f"{low} or more" if high is None else f"{low} to {high}"
                raise ValueError(f"{name}: {value} is out of range; allowed: {allowed}")
