from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.embedded.scenes import sample
from experiments.embedded.steering import (
    PAPER_SETTINGS,
    STEPS,
    Setting,
    draw_targets,
    feedback_of,
    misleading_feedback,
    sobol_settings,
)
from fabric.seeding import generator_for


@settings(deadline=None, max_examples=50)
@given(
    a=st.floats(0, 1),
    b=st.floats(0, 1),
    floor=st.floats(0, 1),
    strength=st.floats(0, 8),
)
def test_total_weight_is_that_of_the_window(a: float, b: float, floor: float, strength: float) -> None:
    start, end = min(a, b), max(a, b)
    weights = Setting(strength, start=start, end=end, floor=floor).weights(1, (), STEPS)
    expected = strength * STEPS * (floor + (1 - floor) * (end - start))
    assert float(weights.sum()) == pytest.approx(expected, abs=1e-3)
    assert (weights >= -1e-6).all()
    assert (weights <= strength + 1e-4).all()


def test_authors_windows_count_both_ends() -> None:
    assert STEPS == 12
    inside = {
        name: (s.weights(1, (), STEPS)[:, 0] > s.floor * s.strength + 1e-6).nonzero()[:, 0].tolist()
        for name, s in PAPER_SETTINGS.items()
    }
    # In the authors' code step i is inside where round(12 x start) <= i <= round(12 x end).
    assert inside == {
        "official": [4, 5, 6, 7, 8],
        "paper-preference": list(range(12)),
        "paper-target": list(range(12)),
        "repo-eval": list(range(11)),
    }


def test_liked_images_join_the_conditional_pass_only() -> None:
    setting = Setting(2.0, neg_scale=0.25, liked=(1.0, 0.5))
    feedback = feedback_of([setting], torch.zeros(2, 3, 64, 64), torch.ones(1, 3, 64, 64))
    assert feedback.images.shape == (3, 3, 64, 64)
    assert feedback.liked[0].tolist() == [[2.0, 1.0, 0.0]]
    assert feedback.disliked[0].tolist() == [[0.0, 0.0, 0.5]]


def test_targets_are_held_out_and_the_same_every_time() -> None:
    first, again = draw_targets(32, seed=6), draw_targets(32, seed=6)
    assert torch.equal(first.attributes, again.attributes)
    assert not torch.equal(first.attributes, draw_targets(32, seed=7).attributes)


def test_misleading_pictures_are_last() -> None:
    target = sample(1, generator_for("test"))
    liked, disliked = misleading_feedback(target, generator_for("test", 1))
    assert liked.shape == disliked.shape == (4, 3, 64, 64)
    assert liked.amin() >= -1
    assert liked.amax() <= 1


def test_sobol_settings_fill_their_ranges() -> None:
    drawn = sobol_settings(64)
    strengths = torch.tensor([s.strength for s in drawn]).log()
    assert strengths.min() < torch.tensor(0.08).log()
    assert strengths.max() > torch.tensor(5.0).log()
    assert all(s.start <= s.end for s in drawn)
    assert all(1.5 <= s.guidance <= 8 for s in drawn)
    assert drawn == sobol_settings(64)
