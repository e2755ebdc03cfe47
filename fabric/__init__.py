"""Images from a prompt, feedback images, parameters and a seed.

This package holds the FABRIC step itself and knows nothing of scores or of optimisation.
It imports none of `objectives`, `optimizer` and `experiments`.

The names in `__all__` are its interface. Each is imported when it is first asked for, since some take seconds.
"""

from __future__ import annotations

import warnings
from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabric.bank import ReferenceBank
    from fabric.generator import FabricGenerator, Generated, Request
    from fabric.images import FeedbackImage, find_pictures, read_picture, to_pictures
    from fabric.models import load, locate
    from fabric.params import PRESETS, FabricParams, preset
    from fabric.session import Round, RoundChoice, Session
    from fabric.steering import feedback

__all__ = [
    "PRESETS",
    "FabricGenerator",
    "FabricParams",
    "FeedbackImage",
    "Generated",
    "ReferenceBank",
    "Request",
    "Round",
    "RoundChoice",
    "Session",
    "feedback",
    "find_pictures",
    "load",
    "locate",
    "preset",
    "read_picture",
    "to_pictures",
]

_MODULES = {
    "PRESETS": "fabric.params",
    "FabricGenerator": "fabric.generator",
    "FabricParams": "fabric.params",
    "FeedbackImage": "fabric.images",
    "Generated": "fabric.generator",
    "ReferenceBank": "fabric.bank",
    "Request": "fabric.generator",
    "Round": "fabric.session",
    "RoundChoice": "fabric.session",
    "Session": "fabric.session",
    "feedback": "fabric.steering",
    "find_pictures": "fabric.images",
    "load": "fabric.models",
    "locate": "fabric.models",
    "preset": "fabric.params",
    "read_picture": "fabric.images",
    "to_pictures": "fabric.images",
}

if not TYPE_CHECKING:  # for type checkers it would make any name an attribute

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _warn_of_ssh_library() -> None:
    """Warns where the SSH library `fabric` is installed too: files of one package hide those of the other."""
    try:
        version = metadata.version("fabric")
    except metadata.PackageNotFoundError:
        return
    warnings.warn(
        f"fabric {version} (the SSH library) and fabric-bo both install a package named fabric, and one hides the "
        "other; allowed: each in an environment of its own",
        stacklevel=3,
    )


_warn_of_ssh_library()
