from __future__ import annotations

import numpy as np
import pytest

from optimizer.blocks import effects


def _scores(
    trials: int, blocks: int, noise: float, seed: int = 0
) -> tuple[list[dict[str, float]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Scores of trials in blocks, and the trials' true values."""
    random = np.random.default_rng(seed)
    truth, hardness = random.normal(0, 0.1, trials), random.normal(0, 1, blocks)
    table = truth[:, None] + hardness + random.normal(0, noise, (trials, blocks))
    return [{f"block {b}": float(table[t, b]) for b in range(blocks)} for t in range(trials)], truth


def test_whole_trials_have_their_mean() -> None:
    scores, _ = _scores(6, 5, 0.2)
    values, _ = effects(scores)
    assert values == pytest.approx([np.mean(list(trial.values())) for trial in scores])


def test_the_noise_is_that_of_pairs_and_not_of_blocks() -> None:
    variances = [effects(_scores(20, 10, 0.2, seed)[0])[1] for seed in range(20)]
    assert np.mean(variances) == pytest.approx(0.2**2 / 10, rel=0.1)
    assert all(np.ptp(of_seed) == 0 for of_seed in variances)


def test_a_stopped_trial_is_compared_in_the_blocks_that_it_has() -> None:
    scores, truth = _scores(30, 12, 0.02)
    hardest = sorted(scores[0], key=scores[0].__getitem__)[:3]
    scores[4] = {name: scores[4][name] for name in hardest}
    values, variances = effects(scores)
    assert values[4] - values[5] == pytest.approx(truth[4] - truth[5], abs=0.05)
    assert variances[4] == pytest.approx(4 * variances[5])


def test_a_shift_of_a_block_changes_no_difference() -> None:
    scores, _ = _scores(5, 4, 0.1)
    scores[1] = {name: value for name, value in scores[1].items() if name != "block 2"}
    before, noise = effects(scores)
    moved = [{name: value + 7 * (name == "block 0") for name, value in trial.items()} for trial in scores]
    after, noise_after = effects(moved)
    assert np.diff(after) == pytest.approx(np.diff(before))
    assert noise_after == pytest.approx(noise)


def test_one_trial_or_one_block_is_enough() -> None:
    values, variances = effects([{"a": 1.0, "b": 3.0}])
    assert (values[0], variances[0]) == (2.0, 1.0)
    assert effects([{"a": 1.0}])[1][0] == 0
    assert effects([{"a": 1.0}, {"a": 2.0}])[0].tolist() == [1, 2]


def test_without_a_trial_that_has_all_blocks_differences_are_found_through_others() -> None:
    worth, hardness = np.array([1.0, -2.0, 0.5, 3.0]), np.array([10.0, 0.0, -7.0])
    seen = [(0, 1), (1, 2), (0, 2), (2,)]
    scores = [{f"{block}": worth[trial] + hardness[block] for block in blocks} for trial, blocks in enumerate(seen)]
    values, variances = effects(scores)
    assert np.diff(values) == pytest.approx(np.diff(worth), abs=1e-6)
    assert values.mean() == pytest.approx(worth.mean() + hardness.mean(), abs=1e-6)
    assert variances == pytest.approx([0, 0, 0, 0], abs=1e-9)


def test_the_noise_is_found_without_a_trial_that_has_all_blocks() -> None:
    variances = []
    for seed in range(20):
        scores, _ = _scores(20, 10, 0.2, seed)
        partial = [{name: trial[name] for name in trial if name != f"block {t % 10}"} for t, trial in enumerate(scores)]
        variances.append(effects(partial)[1])
    assert np.mean(variances) == pytest.approx(0.2**2 / 9, rel=0.1)


def test_blocks_in_which_no_score_is_a_number_say_nothing() -> None:
    values, _ = effects([{"a": 1.0, "b": np.nan}, {"a": 2.0, "b": np.nan}])
    assert values.tolist() == [1, 2]


def test_a_trial_without_scores_is_named() -> None:
    with pytest.raises(ValueError, match="a trial has none"):
        effects([{"a": 1.0}, {}])
    with pytest.raises(ValueError, match="a trial has none"):
        effects([{"a": 1.0}, {"a": np.nan}])
