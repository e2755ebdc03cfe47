"""The most memory that an action takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import torch

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def peak_memory(act: Callable[[], object], device: torch.device) -> float:
    """Runs an action and measures what it takes at most on top of what was held before.

    Args:
        act: what to run.
        device: where its tensors are.

    Returns:
        Bytes: of tensors on a CUDA device, of the process on Linux' CPU (Python's and allocators' own included);
        NaN where neither can be asked.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        act()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - held)
    if device.type != "cpu" or not _RESET.exists():
        act()
        return math.nan
    _RESET.write_text("5")  # sets the peak to what is held now
    before = _resident("VmRSS")
    act()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return 1024 * float(found[1]) if found else math.nan
