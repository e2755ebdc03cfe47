"""Images from a prompt, feedback images, parameters and a seed.

This package holds the FABRIC step itself and knows nothing of scores or of optimisation.
It imports none of `objectives`, `optimizer` and `experiments`.

Its interface is in `__init__.pyi`. Each name is imported when it is first asked for, since some take seconds.
"""

from __future__ import annotations

import warnings
from importlib import metadata

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


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
