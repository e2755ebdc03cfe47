"""Where scorers come from: the judges shipped with this package, by the name `embedded`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

EMBEDDED = "embedded"


def locate(name: str, kind: Literal["clip", "preference"]) -> str:
    """What to hand to the loader of a scorer.

    Args:
        name: `embedded`, a hub id or a folder.
        kind: which scorer is asked for.

    Returns:
        The shipped folder for `embedded` (for CLIP with open_clip's prefix `local-dir:`), any other name as it is.
    """
    if name != EMBEDDED:
        return name
    folder = Path(__file__).parent / EMBEDDED / kind
    return f"local-dir:{folder}" if kind == "clip" else str(folder)
