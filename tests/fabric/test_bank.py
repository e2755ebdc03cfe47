from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fabric.bank import ReferenceBank

CPU = torch.device("cpu")


def _states(count: int, value: float = 0.0) -> dict[str, torch.Tensor]:
    return {"a": torch.full((count,), value), "b": torch.ones(2, count // 2 or 1)[:, : count // 2]}


def _scan(bank: ReferenceBank, keys: list[int], count: int = 2) -> int:
    """A run that asks for keys in order; how many were there."""
    bank.begin_run()
    found = 0
    for key in keys:
        if bank.get(key, CPU) is None:
            bank.put(key, _states(count, float(key)))
        else:
            found += 1
    return found


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=40), st.integers(0, 200))
def test_the_budget_holds_and_what_is_there_is_right(puts: list[tuple[int, int]], budget: int) -> None:
    bank = ReferenceBank(budget)
    for key, count in puts:
        bank.begin_run()
        bank.put(key, _states(2 * count, float(key)))
        assert 0 <= bank.bytes <= budget
        found = bank.get(key, CPU)
        assert (found is not None) == (16 * count <= budget)
        if found is not None:
            assert found["a"].tolist() == [key] * 2 * count
            assert found["b"].shape == (2, count)
    bank.clear()
    assert (len(bank), bank.bytes) == (0, 0)


@given(st.integers(1, 20), st.integers(0, 25))
def test_hits_are_the_share_of_the_working_set_that_fits(steps: int, fits: int) -> None:
    bank = ReferenceBank(16 * fits)
    keys = list(range(steps))
    assert _scan(bank, keys) == 0
    for _ in range(3):
        assert _scan(bank, keys) == min(steps, fits)


def test_other_runs_replace_what_is_longest_unused() -> None:
    bank = ReferenceBank(16 * 4)
    _scan(bank, [0, 1])
    _scan(bank, [2, 3])
    _scan(bank, [0])
    assert _scan(bank, [4, 5]) == 0
    assert _scan(bank, [0]) == 1  # used after 2, 3 and 1, which had to go
    assert all(bank.get(key, CPU) is None for key in (1, 2))


def test_a_bank_belongs_to_one_model() -> None:
    bank, first, second = ReferenceBank(), nn.Linear(1, 1), nn.Linear(1, 1)
    bank.bind(first)
    bank.bind(first)
    with pytest.raises(ValueError, match="bank: keeps the hidden states of another model; allowed: one bank for each"):
        bank.bind(second)


def test_negative_budget_is_named() -> None:
    with pytest.raises(ValueError, match=r"budget: -1 is out of range"):
        ReferenceBank(-1)
