from __future__ import annotations

import pytest

from experiments.personal.rewards import Scorers
from objectives.base import Context
from objectives.combinators import combine
from objectives.registry import create
from objectives.testing import sample_images


@pytest.mark.parametrize("balance", [0.3, 0.5, 0.7])
def test_the_reward_is_the_harmonic_objective(balance: float) -> None:
    pictures, references, prompts = sample_images(3), tuple(sample_images(2, seed=4)), ["a red star", "a ring", ""]
    image, text = (create(name, "embedded") for name in ("clip-target", "clip-prompt"))
    found = Scorers(image, text).rewards(pictures, prompts, references, balance)
    harmonic = combine("harmonic", [image, text], [balance, 1 - balance])
    assert found.tolist() == pytest.approx(harmonic(pictures, [Context(prompt, references) for prompt in prompts]))
