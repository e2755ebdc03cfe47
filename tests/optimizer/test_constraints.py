from __future__ import annotations

import pytest
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from optimizer.attributes import CONSTRAINT_SCORES
from optimizer.blocks import effects
from optimizer.constraints import observe_constraints


def _trial(blocks: dict[str, dict[str, float]] | None = None, **constraints: float) -> FrozenTrial:
    trial = create_trial(
        state=TrialState.COMPLETE,
        value=0.0,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0.0, 1.0)},
        user_attrs={} if blocks is None else {CONSTRAINT_SCORES: blocks},
    )
    for name, value in constraints.items():
        trial.set_constraint(name, value)
    return trial


def test_without_constraints_there_are_none() -> None:
    assert observe_constraints([]) is None
    assert observe_constraints([_trial(), _trial()]) is None


def test_values_are_those_that_trials_state() -> None:
    found = observe_constraints([_trial(a=1.0, b=-1.0), _trial(a=0.5, b=2.0)])
    assert found is not None
    assert found.names == ("a", "b")
    assert found.values.tolist() == [[1.0, -1.0], [0.5, 2.0]]
    assert found.variances is None


def test_what_only_some_trials_state_counts_for_none(caplog: pytest.LogCaptureFixture) -> None:
    found = observe_constraints([_trial(a=1.0, b=-1.0), _trial(a=0.5)])
    assert found is not None
    assert found.names == ("a",)
    assert "constraints b are not stated by all trials" in caplog.text


def test_the_noise_is_known_from_blocks() -> None:
    tables = [{"1": 0.1, "2": 0.7}, {"1": 0.3, "2": 0.6}, {"1": 0.0, "2": 0.9}]
    found = observe_constraints([_trial({"a": table}, a=sum(table.values()) / 2) for table in tables])
    values, variances = effects(tables)
    assert found is not None
    assert found.values[:, 0].tolist() == pytest.approx(values.tolist())
    assert found.variances is not None
    assert found.variances[:, 0].tolist() == pytest.approx(variances.tolist())


def test_what_failed_keeps_to_nothing() -> None:
    found = observe_constraints([_trial(a=1.0, b=-1.0), _trial(a=0.5, b=2.0)])
    assert found is not None
    assert torch.equal(found.with_worst(2).values[2:], torch.tensor([[1.0, 2.0], [1.0, 2.0]]).double())
