from __future__ import annotations

from collections.abc import Callable, Iterator

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase

from optimizer.choices import add_choice, choices_of, withdraw
from optimizer.encoding import Encoding
from optimizer.preference_sampler import PreferenceSampler, believe_choices, picks_of
from optimizer.samplers import create_sampler

FLOAT = FloatDistribution(0.0, 1.0)
SPACE: dict[str, BaseDistribution] = {f"x{k}": FLOAT for k in range(4)}
MIXED: dict[str, BaseDistribution] = {
    "x": FLOAT,
    "k": IntDistribution(1, 5),
    "choice": CategoricalDistribution(["a", "b"]),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


class TestConformance(BasicSamplerTestCase, RelativeSamplerTestCase):
    """Optuna's own suite."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: PreferenceSampler(seed=0)


def _utility(params: dict[str, float]) -> float:
    return -12 * sum((value - 0.3 - 0.1 * k) ** 2 for k, value in enumerate(params.values()))


def _ask_person(
    study: optuna.Study,
    rounds: int,
    seed: int = 0,
    space: dict[str, BaseDistribution] = SPACE,
    utility: Callable[[dict[str, float]], float] = _utility,
) -> None:
    """Shows batches of four to somebody who sees utility through noise, as the softmax has it."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(rounds):
        trials = [study.ask(space) for _ in range(4)]
        noise = -torch.rand(4, generator=generator).log().neg().log()
        seen = torch.tensor([utility(trial.params) for trial in trials]) + noise
        add_choice(study, [trial.number for trial in trials], trials[int(seen.argmax())].number)
        for trial in trials:
            study.tell(trial, 0.0)


def test_a_person_is_shown_better_and_better_settings() -> None:
    shown: dict[str, list[float]] = {"ours": [], "random": []}
    for seed in range(2):
        for name, utilities in shown.items():
            sampler = PreferenceSampler(seed=seed) if name == "ours" else create_sampler("random", seed=seed)
            study = optuna.create_study(sampler=sampler)
            _ask_person(study, 10, seed)
            utilities += [_utility(trial.params) for trial in study.trials[-12:]]
    assert sum(shown["ours"]) / 24 > sum(shown["random"]) / 24 + 1.5


def test_proposals_depend_on_study_and_seed_alone() -> None:
    before = torch.get_rng_state()
    studies = [optuna.create_study(sampler=PreferenceSampler(seed=seed, design=4)) for seed in (1, 1, 2)]
    for seed, study in zip((1, 1, 2), studies, strict=True):
        _ask_person(study, 2)
        study.sampler = PreferenceSampler(seed=seed, design=4)  # as in another process
        _ask_person(study, 1, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    once, again, other = ([trial.params for trial in study.trials] for study in studies)
    for one, two in zip(once, again, strict=True):
        assert one == pytest.approx(two, abs=1e-3)
    assert once[0] != other[0]


def test_a_batch_is_not_one_setting_four_times() -> None:
    study = optuna.create_study(sampler=PreferenceSampler(seed=0, design=4, space=MIXED))
    _ask_person(study, 3, space=MIXED, utility=lambda params: 8 * params["x"] + params["k"])
    encoding = Encoding(MIXED)
    batch = [encoding.encode(study.ask(MIXED).params) for _ in range(4)]
    points = torch.stack([point for point in batch if point is not None])
    assert len(points) == 4
    assert torch.pdist(points).min() > 0.05


def test_the_space_may_grow() -> None:
    sampler = PreferenceSampler(seed=0, absent=lambda name: 0.0 if name.startswith("weight") else None)
    study = optuna.create_study(sampler=sampler)
    small: dict[str, BaseDistribution] = {"x": FLOAT, "y": FLOAT}
    _ask_person(study, 3, space=small, utility=lambda params: -8 * abs(params["x"] - 0.5))
    grown: dict[str, BaseDistribution] = {**small, "weight a": FLOAT}
    _ask_person(study, 6, 1, grown, lambda params: 12 * params["weight a"] - 8 * abs(params["x"] - 0.5))
    picks = picks_of(study, Encoding(grown, sampler.absent))
    assert picks is not None
    assert len(picks.options) == 9
    best = believe_choices(study, Encoding(grown, sampler.absent)).recommendation
    assert study.trials[best.number].params["weight a"] > 0.7


def test_picks_are_read_as_far_as_they_say_something() -> None:
    study = optuna.create_study(sampler=create_sampler("random", seed=0))
    space: dict[str, BaseDistribution] = {"x": FLOAT}
    other: dict[str, BaseDistribution] = {"y": FLOAT}
    for each in (space, space, other, space):
        study.ask(each)
    encoding = Encoding(space)
    assert picks_of(study, encoding) is None
    with pytest.raises(ValueError, match="choices: none; allowed: one or more"):
        believe_choices(study, encoding)
    add_choice(study, [0, 1, 2], 1)
    add_choice(study, [1, 2], 2)  # 2 is no setting of this space
    add_choice(study, [0, 3], None)
    add_choice(study, [0, 3], 3)
    picks = picks_of(study, encoding)
    assert picks is not None
    assert (picks.numbers, picks.options) == ([0, 1, 3], [[1, 0], [2, 0]])
    withdraw(study, choices_of(study)[-1].key)
    picks = picks_of(study, encoding)
    assert picks is not None
    assert picks.options == [[1, 0]]
