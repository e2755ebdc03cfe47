"""What `--help` says of a knob."""

from __future__ import annotations

from fabric.knobs import Knob


def knob_help(knob: Knob) -> str:
    """What a knob is and does, its range and its default."""
    return f"{knob.meaning} {knob.effect} ({knob.range})"
