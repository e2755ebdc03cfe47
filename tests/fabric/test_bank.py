from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fabric.bank import ReferenceBank

CPU = torch.device("cpu")


def _states(count: int) -> dict[str, torch.Tensor]:
    return {"a": torch.zeros(count), "b": torch.ones(count)}  # 8 bytes for each of `count`


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), max_size=40), st.integers(0, 200))
def test_budget_holds_and_the_least_recently_used_goes_first(puts: list[tuple[int, int]], budget: int) -> None:
    bank, model = ReferenceBank(budget), dict[int, int]()  # a model that is obviously right: insertion order is age
    for key, count in puts:
        bank.put(key, _states(count))
        if 8 * count <= budget:
            model.pop(key, None)
            while sum(8 * c for c in model.values()) + 8 * count > budget:
                del model[next(iter(model))]
            model[key] = count
        assert bank.bytes == sum(8 * c for c in model.values()) <= budget
    for key in range(6):
        found = bank.get(key, CPU)
        assert (found is not None) == (key in model)
        if found is not None:
            assert len(found["a"]) == model[key]


def test_use_keeps_an_entry() -> None:
    bank = ReferenceBank(16)
    bank.put("x", _states(1))
    bank.put("y", _states(1))
    bank.get("x", CPU)
    bank.put("z", _states(1))
    assert bank.get("y", CPU) is None
    assert bank.get("x", CPU) is not None
    bank.clear()
    assert (len(bank), bank.bytes) == (0, 0)


def test_negative_budget_is_named() -> None:
    with pytest.raises(ValueError, match=r"budget: -1 is out of range"):
        ReferenceBank(-1)
