from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments.bench.memory import peak_memory

pytestmark = pytest.mark.slow

# In a process of its own: one that has freed memory before may use it again, and then takes none.
_MEASURE = """
import torch
from experiments.bench.memory import peak_memory
print(peak_memory(lambda: torch.ones({megabytes}, 2**18).sum(), torch.device("cpu")))  # 2^18 floats are a megabyte
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count is asked")
@pytest.mark.parametrize("megabytes", [64, 256])
def test_memory_that_is_freed_again_counts(megabytes: int) -> None:
    code = _MEASURE.format(megabytes=megabytes)
    root = Path(__file__).parents[3]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert 0.9 * megabytes < float(told.stdout) / 2**20 < megabytes + 32


def test_devices_that_cannot_be_asked_give_nan() -> None:
    done = []
    assert math.isnan(peak_memory(lambda: done.append(1), torch.device("meta")))
    assert done == [1]
