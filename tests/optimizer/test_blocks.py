from __future__ import annotations

import numpy as np
import pytest

from optimizer.blocks import effects


def _scores(
    trials: int, prompts: int, noise: float, seed: int = 0
) -> tuple[list[dict[str, float]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    random = np.random.default_rng(seed)
    worth, hardness = random.normal(0, 0.1, trials), random.normal(0, 1, prompts)
    table = worth[:, None] + hardness + random.normal(0, noise, (trials, prompts))
    return [{f"prompt {p}": float(table[t, p]) for p in range(prompts)} for t in range(trials)], worth


def test_whole_trials_have_their_mean() -> None:
    scores, _ = _scores(6, 5, 0.2)
    values, _ = effects(scores)
    assert values == pytest.approx([np.mean(list(one.values())) for one in scores])


def test_the_noise_is_that_of_pairs_and_not_of_prompts() -> None:
    found = [effects(_scores(20, 10, 0.2, seed)[0])[1] for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.2**2 / 10, rel=0.1)
    assert all(np.ptp(one) == 0 for one in found)


def test_a_stopped_trial_is_compared_on_what_it_saw() -> None:
    scores, worth = _scores(30, 12, 0.02)
    hardest = sorted(scores[0], key=scores[0].__getitem__)[:3]
    scores[4] = {name: scores[4][name] for name in hardest}
    values, variances = effects(scores)
    assert values[4] - values[5] == pytest.approx(worth[4] - worth[5], abs=0.05)
    assert variances[4] == pytest.approx(4 * variances[5])


def test_a_shift_of_a_prompt_changes_no_difference() -> None:
    scores, _ = _scores(5, 4, 0.1)
    scores[1] = {name: value for name, value in scores[1].items() if name != "prompt 2"}
    before, noise = effects(scores)
    moved = [{name: value + 7 * (name == "prompt 0") for name, value in one.items()} for one in scores]
    after, noise_after = effects(moved)
    assert np.diff(after) == pytest.approx(np.diff(before))
    assert noise_after == pytest.approx(noise)


def test_one_trial_or_one_prompt_is_enough() -> None:
    values, variances = effects([{"a": 1.0, "b": 3.0}])
    assert (values[0], variances[0]) == (2.0, 1.0)
    assert effects([{"a": 1.0}])[1][0] == 0
    assert effects([{"a": 1.0}, {"a": 2.0}])[0].tolist() == [1, 2]


def test_what_cannot_be_compared_is_named() -> None:
    with pytest.raises(ValueError, match="a trial has none"):
        effects([{"a": 1.0}, {}])
    with pytest.raises(ValueError, match="no trial has all 2 prompts"):
        effects([{"a": 1.0}, {"b": 1.0}])
