"""Optuna samplers: ours, and Optuna's own as baselines.

Its interface is in `__init__.pyi`. Each name is imported when it is first asked for, since some take seconds.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
