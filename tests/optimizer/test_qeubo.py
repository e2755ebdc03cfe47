from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.choices import PreferenceData
from optimizer.preference import PreferenceGP, fit_preference
from optimizer.qeubo import propose_look, surroundings


def _everywhere(dimensions: int, count: int, seed: int) -> Tensor:
    return SobolEngine(dimensions, scramble=True, seed=seed).draw(count, dtype=torch.float64)


def _utility(X: Tensor) -> Tensor:
    return -12 * ((X - 0.3) ** 2).sum(dim=1)


def _steer(rounds: int, learn: bool, seed: int) -> Tensor:
    """Utilities of what somebody is shown who sees utility through noise, rounds x 4."""
    generator = torch.Generator().manual_seed(seed)
    X, choices = _everywhere(4, 4, seed), list[list[int]]()
    for number in range(rounds):
        new = list(range(len(X) - 4, len(X)))
        gumbel = -torch.rand(4, generator=generator, dtype=torch.float64).log().neg().log()
        best = new[int((_utility(X[new]) + gumbel).argmax())]
        choices.append([best, *(row for row in new if row != best)])
        candidates = torch.cat([X, surroundings(X, 8, number), _everywhere(4, 64, number)])
        if learn:
            model = fit_preference(PreferenceData(X, [k // 4 for k in range(len(X))], choices, [], range(len(X))))
            X = torch.cat([X, candidates[propose_look(model, candidates, 4, number)]])
        else:
            X = torch.cat([X, _everywhere(4, 4, 100 * seed + number)])
    return _utility(X).view(-1, 4)


@pytest.mark.slow
def test_a_person_is_shown_better_and_better_settings() -> None:
    shown = {learn: torch.stack([_steer(10, learn, seed)[-3:] for seed in range(3)]).mean() for learn in (True, False)}
    assert shown[True] > shown[False] + 1.0


def _model() -> PreferenceGP:
    X = _everywhere(2, 8, 0)
    return PreferenceGP(PreferenceData(X, [0] * 4 + [1] * 4, [[0, 1, 2, 3], [5, 4, 6, 7]], [], range(8)))


def test_the_first_is_believed_best_and_the_others_differ() -> None:
    model, candidates = _model(), _everywhere(2, 64, 1)
    members = propose_look(model, candidates, 4, 0)
    assert members[0] == int(model.posterior(candidates).mean.argmax())
    assert len(set(members)) == 4
    assert torch.pdist(candidates[members]).min() > 0.05


def test_a_look_depends_on_model_and_seed_alone() -> None:
    before = torch.get_rng_state()
    looks = [propose_look(_model(), _everywhere(2, 64, 1), 4, seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert looks[0] == looks[1] != looks[2]


def test_what_is_expected_counts_as_far_as_nothing_is_known() -> None:
    candidates = _everywhere(2, 64, 1)
    offsets = -20 * (candidates - 0.9).square().sum(dim=1)
    members = propose_look(_model(), candidates, 4, 0, offsets)
    assert (candidates[members] - 0.9).square().sum(dim=1).max() < 0.3


def test_surroundings_move_few_coordinates_within_the_cube() -> None:
    known = _everywhere(12, 5, 0)
    near = surroundings(known, 100, 0)
    moved = near != known.repeat_interleave(100, dim=0)
    assert near.min() >= 0
    assert near.max() <= 1
    assert 2 < moved.sum(dim=1).float().mean() < 4
