"""Where generators come from: the model shipped with this package, by the name `embedded`."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"


def locate(name: str) -> str:
    """What to hand to `from_pretrained`.

    Args:
        name: `embedded`, a hub id or a folder.

    Returns:
        The folder of the shipped Stable Diffusion model for `embedded`, any other name as it is.
    """
    return str(Path(__file__).with_name(EMBEDDED)) if name == EMBEDDED else name
