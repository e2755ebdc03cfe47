from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.utils.multi_objective.box_decompositions.dominated import DominatedPartitioning
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState

from optimizer.attributes import STANDARD_ERROR
from optimizer.encoding import Encoding
from optimizer.gp import build_gp
from optimizer.observations import observe
from optimizer.recommendation import pareto, recommend
from optimizer.samplers import gp
from optimizer.samplers.gp import GaussianProcessSampler

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


class TestConformance(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Optuna's own suite, with the model at work from the third trial on."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: GaussianProcessSampler(design=2, seed=0)


FLOAT = FloatDistribution(0.0, 1.0)
SPACE = {"x": FLOAT, "y": FloatDistribution(1e-3, 1.0, log=True), "k": IntDistribution(1, 4)}


def _value(params: dict[str, Any]) -> float:
    return -((params["x"] - 0.3) ** 2) - 0.1 * params["y"] - 0.01 * params["k"]


def _run(study: optuna.Study, count: int, space: dict[str, Any] = SPACE) -> list[dict[str, Any]]:
    for _ in range(count):
        trial = study.ask(space)
        trial.set_user_attr(STANDARD_ERROR, 0.01)
        study.tell(trial, _value(trial.params))
    return [trial.params for trial in study.trials]


def _study(sampler: BaseSampler) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=sampler)


def test_known_settings_come_first_then_a_design_that_fills_the_space() -> None:
    first = [{"x": 0.5, "y": 0.1, "k": 2}, {"x": 0.25}]
    found = _run(_study(GaussianProcessSampler(first=first, space=SPACE, design=8)), 10)
    assert found[0] == first[0]
    assert found[1]["x"] == 0.25
    assert {"y", "k"} <= set(found[1])
    quarters = [int(params["x"] * 4) for params in found[2:]]
    assert sorted(quarters) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_proposals_depend_on_study_and_seed_alone() -> None:
    before = torch.get_rng_state()
    whole = _run(_study(GaussianProcessSampler(seed=3)), 12)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    study = _study(GaussianProcessSampler(seed=3))
    _run(study, 8)
    study.sampler = GaussianProcessSampler(seed=3)  # as in another process
    for again, once in zip(_run(study, 4), whole, strict=True):
        assert again == pytest.approx(once, abs=1e-3)
    assert _run(_study(GaussianProcessSampler(seed=4)), 12) != whole


def test_it_finds_the_optimum() -> None:
    study = _study(GaussianProcessSampler(seed=0))
    _run(study, 25)
    assert study.best_value > -0.015
    assert _run(optuna.create_study(direction="minimize", sampler=GaussianProcessSampler(seed=0)), 25)[-1]["y"] > 0.9


def test_running_trials_are_kept_away_from() -> None:
    study = _study(GaussianProcessSampler(seed=0, design=4))
    _run(study, 5)
    batch = [study.ask(SPACE).params for _ in range(4)]
    encoding = Encoding(SPACE)
    points = torch.stack([point for params in batch if (point := encoding.encode(params)) is not None])
    assert torch.pdist(points).min() > 0.05
    anew = GaussianProcessSampler(seed=0, design=4)
    modelled = anew.infer_relative_search_space(study, study.trials[-1])
    again = anew.sample_relative(study, study.trials[-1], modelled)
    assert again == pytest.approx(batch[-1], abs=1e-3)  # sums depend on where arrays lie in memory


def test_a_parameter_added_on_the_way_is_modelled() -> None:
    sampler = GaussianProcessSampler(seed=0, absent=lambda name: 0.0 if name.startswith("weight") else None)
    study = _study(sampler)
    _run(study, 10)
    grown = {**SPACE, "weight a": FLOAT}
    values = []
    for _ in range(12):
        trial = study.ask(grown)
        trial.set_user_attr(STANDARD_ERROR, 0.01)
        values.append(trial.params["weight a"])
        study.tell(trial, _value(trial.params) + 2 * trial.params["weight a"])
    assert "weight a" in sampler.infer_relative_search_space(study, study.trials[-1])
    encoding = Encoding(sampler.infer_relative_search_space(study, study.trials[-1]), sampler.absent)
    assert len(observe(study, study.trials, encoding).Y) == 22
    assert min(values[-4:]) > 0.9


def test_a_parameter_that_nobody_used_changes_no_belief() -> None:
    """At equal hyperparameters; the space grows as the sampler lets it."""
    sampler = GaussianProcessSampler(seed=0, absent=lambda name: 0.0 if name.startswith("weight") else None)
    study = _study(sampler)
    _run(study, 6)
    encodings = [Encoding(sampler.infer_relative_search_space(study, study.trials[-1]), sampler.absent)]
    study.ask({**SPACE, "weight a": FLOAT})
    encodings.append(Encoding(sampler.infer_relative_search_space(study, study.trials[-1]), sampler.absent))
    assert [encoding.dimensions for encoding in encodings] == [3, 4]
    posteriors = []
    for encoding in encodings:
        seen = observe(study, study.trials, encoding)
        model = build_gp(seen.X, seen.Y, seen.Yvar)
        scales = torch.full((1, encoding.dimensions), 0.1, dtype=torch.float64)
        for name, lengthscale in {"x": 0.3, "y": 0.7, "k": 1.5}.items():
            scales[0, encoding.columns[name]] = lengthscale
        model.covar_module.base_kernel.lengthscale = scales
        posteriors.append(model.eval().posterior(seen.X))
    before, after = posteriors
    torch.testing.assert_close(after.mean, before.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(after.variance, before.variance, rtol=0, atol=1e-10)


def test_coarse_settings_that_are_running_are_not_proposed_again() -> None:
    coarse = {"k": IntDistribution(1, 3), "choice": CategoricalDistribution(["a", "b"])}
    study = _study(GaussianProcessSampler(seed=0, design=3))
    for _ in range(4):
        trial = study.ask(coarse)
        study.tell(trial, float(trial.params["k"]))
    batch = [study.ask(coarse).params for _ in range(6)]
    assert len({(params["k"], params["choice"]) for params in batch}) == 6


def test_without_a_known_value_a_new_parameter_waits() -> None:
    study = _study(GaussianProcessSampler(seed=0))
    _run(study, 6)
    _run(study, 2, {**SPACE, "z": FLOAT})
    assert set(study.sampler.infer_relative_search_space(study, study.trials[-1])) == set(SPACE)


def test_several_objectives_spread_along_the_front() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=GaussianProcessSampler(seed=0))
    for _ in range(10):
        trial = study.ask({"x": FLOAT, "y": FLOAT})
        x, y = trial.params["x"], trial.params["y"]
        study.tell(trial, [x - y**2, x**2 + y**2])
    front = [trial.params for trial in study.best_trials]
    assert max(params["y"] for params in front) < 0.2
    assert max(params["x"] for params in front) - min(params["x"] for params in front) > 0.5


def test_workers_on_one_study() -> None:
    study = _study(GaussianProcessSampler(seed=0, design=3))
    study.optimize(lambda trial: _value({name: trial._suggest(name, d) for name, d in SPACE.items()}), 12, n_jobs=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 12
    assert study.best_value > -0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_region_that_fails_is_left(seed: int) -> None:
    study = _study(GaussianProcessSampler(seed=seed))
    space: dict[str, BaseDistribution] = {"x": FLOAT, "y": FLOAT}
    for _ in range(24):
        trial = study.ask(space)
        trial.set_user_attr(STANDARD_ERROR, 0.01)
        if trial.params["x"] > 0.7:  # and the objective rises towards it
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, trial.params["x"] - (trial.params["y"] - 0.4) ** 2)
    failed = study.get_trials(states=(TrialState.FAIL,))
    assert len(failed) <= 6
    best = recommend(observe(study, study.trials, Encoding(space))).number
    assert study.trials[best].state == TrialState.COMPLETE
    assert study.trials[best].values[0] > 0.6


def test_a_study_of_which_no_model_can_be_made_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = _study(GaussianProcessSampler(design=2, seed=0))
    _run(study, 4)

    def failing(*given: object, **options: object) -> None:
        raise ModelFittingError("all attempts to fit the model have failed")

    monkeypatch.setattr(gp, "propose", failing)
    _run(study, 2)
    assert "no model, so a point that fills the space (all attempts to fit the model have failed)" in caplog.text
    assert study.trials[4].params != study.trials[5].params


def test_constraints_are_learnt_and_kept() -> None:
    study = _study(GaussianProcessSampler(seed=0))
    space: dict[str, BaseDistribution] = {"x": FLOAT, "y": FLOAT}
    for _ in range(22):
        trial = study.ask(space)
        trial.set_user_attr(STANDARD_ERROR, 0.01)
        trial.set_constraint("sum", trial.params["x"] + trial.params["y"] - 1.0)
        study.tell(trial, 2 * trial.params["x"] + trial.params["y"])
    best = recommend(observe(study, study.trials, Encoding(space)))
    params = study.trials[best.number].params
    assert best.allowed >= 0.95
    assert params["x"] + params["y"] <= 1
    assert 2 * params["x"] + params["y"] > 1.85  # at most 2
    late = [trial.constraints["sum"] for trial in study.trials[-8:]]
    assert sum(value < 0.05 for value in late) >= 6


def test_many_objectives_are_sought_by_changing_weights() -> None:
    """Of four objectives each rises with a parameter of its own and falls with the squares of all."""

    def volume(sampler: BaseSampler) -> float:
        study = optuna.create_study(directions=["maximize"] * 4, sampler=sampler)
        for _ in range(24):
            trial = study.ask(dict.fromkeys("abcd", FLOAT))
            trial.set_user_attr(STANDARD_ERROR, 0.01)
            values = list(trial.params.values())
            study.tell(trial, [value - 0.5 * sum(v**2 for v in values) for value in values])
        found = torch.tensor([trial.values for trial in study.trials], dtype=torch.float64)
        return float(DominatedPartitioning(torch.full((4,), -0.5, dtype=torch.float64), found).compute_hypervolume())

    assert volume(GaussianProcessSampler(seed=0)) > 1.2 * volume(RandomSampler(seed=0))


def test_several_objectives_keep_to_constraints() -> None:
    study = optuna.create_study(directions=["maximize", "maximize"], sampler=GaussianProcessSampler(seed=0))
    space: dict[str, BaseDistribution] = {"x": FLOAT, "y": FLOAT}
    for _ in range(14):
        trial = study.ask(space)
        trial.set_user_attr(STANDARD_ERROR, 0.01)
        trial.set_constraint("x", trial.params["x"] - 0.5)
        study.tell(trial, [trial.params["x"] - trial.params["y"], trial.params["x"] + trial.params["y"]])
    front = pareto(observe(study, study.trials, Encoding(space)))
    assert all(study.trials[setting[0].number].params["x"] <= 0.5 for setting in front)
    assert max(study.trials[setting[0].number].params["x"] for setting in front) > 0.4
