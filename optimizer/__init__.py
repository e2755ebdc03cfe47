"""The next parameters to try, from past pairs of parameters and score.

This package knows no image and no model. Of the other three it may import only `fabric.params`,
the plain parameter dataclasses; `objectives` and `experiments` are out of bounds.

Its interface is in `__init__.pyi`. Each name is imported when it is first asked for, since some take seconds.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
