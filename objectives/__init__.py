"""Scores from images: one float per image, higher is better.

This package knows nothing of diffusion or of optimisation.
It imports none of `fabric`, `optimizer` and `experiments`.

Its interface is in `__init__.pyi`. Each name is imported when it is first asked for, since some take seconds.
`objectives.testing` has what tests of objectives need.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
