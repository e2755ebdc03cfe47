from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.personal.losses import draw_preferred, preference_loss


@given(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([0.0, 1.0]), st.floats(0.1, 5))
def test_the_loss_and_its_gradient_have_their_closed_forms(first: float, second: float, y: float, beta: float) -> None:
    gains = torch.tensor([first, second], dtype=torch.float64, requires_grad=True)
    loss = preference_loss(gains[:1], gains[1:], torch.tensor([y], dtype=torch.float64), beta)
    logit = beta * (first - second)
    # -log s(x) is log(1 + exp(-x)), which keeps all digits where s(x) is close to 1.
    expected = y * math.log1p(math.exp(-logit)) + (1 - y) * math.log1p(math.exp(logit))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    loss.backward()
    assert gains.grad is not None
    slope = beta * (1 / (1 + math.exp(-logit)) - y)
    assert gains.grad.tolist() == pytest.approx([slope, -slope], rel=1e-9, abs=1e-12)


def test_turning_the_label_mirrors_the_pair() -> None:
    first, second = torch.tensor([0.3, -1.0]), torch.tensor([0.1, 2.0])
    ones = torch.ones(2)
    assert preference_loss(first, second, ones, 2.0) == preference_loss(second, first, 1 - ones, 2.0)
    assert float(preference_loss(first, first, ones, 7.0)) == pytest.approx(math.log(2))


def test_labels_are_drawn_by_the_difference_of_rewards() -> None:
    high, low = torch.full((20_000,), 1.0), torch.zeros(20_000)
    drawn = draw_preferred(high, low, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0.0, 1.0}
    assert float(drawn.mean()) == pytest.approx(1 / (1 + math.exp(-1)), abs=0.01)
