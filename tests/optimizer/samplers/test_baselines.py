from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.trial import TrialState

from optimizer.samplers.baselines import SAMPLERS, Baseline, create_sampler

pytestmark = pytest.mark.slow

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0), "k": IntDistribution(1, 40)}
FIRST = [{"x": 0.5, "k": 2}, {"x": 0.25, "k": 3}]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


class TestConformance(BasicSamplerTestCase):
    """Optuna's own suite over the wrapper of its samplers."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: Baseline(lambda seed: RandomSampler(seed=seed), seed=0)


def _run(study: optuna.Study, count: int, space: dict[str, BaseDistribution] = SPACE) -> list[dict[str, float]]:
    for _ in range(count):
        trial = study.ask(space)
        study.tell(trial, sum(trial.params.values()))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
def test_all_start_from_the_known_settings_and_repeat_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", optuna.exceptions.ExperimentalWarning)
        sampler = create_sampler(name, space=SPACE, first=FIRST, seed=0)
    before = torch.get_rng_state()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    lost = study.ask(SPACE)
    study.tell(lost, state=TrialState.FAIL)
    found = _run(study, 6)[1:]
    assert found[:2] == FIRST
    assert len({params["x"] for params in found}) == 6
    assert abs(found[2]["x"] - (found[2]["k"] - 1) / 39) > 0.02  # each parameter has a draw of its own
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_resumed_run_goes_on_as_the_unbroken_one(name: str) -> None:
    whole = _run(optuna.create_study(sampler=create_sampler(name, first=FIRST, seed=3)), 14)
    study = optuna.create_study(sampler=create_sampler(name, first=FIRST, seed=3))
    _run(study, 6)
    study.sampler = create_sampler(name, first=FIRST, seed=3)
    for again, once in zip(_run(study, 8), whole, strict=True):
        assert again == pytest.approx(once, abs=1e-3)
    assert _run(optuna.create_study(sampler=create_sampler(name, first=FIRST, seed=4)), 14) != whole


def test_tpe_models_a_growing_space() -> None:
    study = optuna.create_study(direction="maximize", sampler=create_sampler("tpe", seed=0))
    _run(study, 12)
    late = [params["z"] for params in _run(study, 40, {**SPACE, "z": FloatDistribution(0.0, 100.0)})[-15:]]
    assert sum(late) / 15 > 65


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ValueError, match="sampler: 'best' is unknown; allowed: gp, tpe, cma-es, optuna-gp, random"):
        create_sampler("best")
