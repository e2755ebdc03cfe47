from __future__ import annotations

import math
import sys

import pytest
import torch

from experiments.memory import peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count is asked")
@pytest.mark.parametrize("megabytes", [64, 256])
def test_memory_that_is_freed_again_counts(megabytes: int) -> None:
    def act() -> None:
        torch.ones(megabytes, 2**18).sum()  # 2^18 floats are a megabyte

    taken = peak_memory(act, torch.device("cpu")) / 2**20
    assert 0.9 * megabytes < taken < megabytes + 32


def test_devices_that_cannot_be_asked_give_nan() -> None:
    done = []
    assert math.isnan(peak_memory(lambda: done.append(1), torch.device("meta")))
    assert done == [1]
