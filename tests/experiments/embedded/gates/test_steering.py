from __future__ import annotations

import torch

from experiments.embedded.gates.steering import (
    GUIDANCE,
    PAPER_SETTINGS,
    draw_targets,
    feedback,
    misleading_feedback,
    place_weights,
    sobol_settings,
)
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from fabric.params import PRESETS
from fabric.seeding import generator_for


def test_weights_by_place_go_to_the_images_there() -> None:
    setting = sobol_settings(3)[2]
    liked, disliked = (
        feedback(images) for images in misleading_feedback(SCENES.sample(1, generator_for("t")), generator_for("u"))
    )
    placed = place_weights(setting, liked, disliked)
    assert list(placed.weights) == [image.id for image in (*liked, *disliked)]
    assert list(placed.weights.values()) == list(setting.weights.values())


def test_paper_settings_are_the_presets() -> None:
    assert set(PAPER_SETTINGS) == set(PRESETS) - {"none"}
    assert {params.guidance_scale for params in PAPER_SETTINGS.values()} == {GUIDANCE}


def test_targets_are_held_out_and_the_same_every_time() -> None:
    first, again = draw_targets(32, seed=6), draw_targets(32, seed=6)
    assert torch.equal(first.attributes, again.attributes)
    assert not torch.equal(first.attributes, draw_targets(32, seed=7).attributes)


def test_the_last_two_of_each_sign_mislead() -> None:
    distances = torch.zeros(2, 4)
    for k in range(32):
        target = SCENES.sample(1, generator_for("test", k))
        picture = to_signed(SCENES.render(target))
        for sign, images in enumerate(misleading_feedback(target, generator_for("pictures", k))):
            assert images.shape == (4, 3, 64, 64)
            distances[sign] += (images - picture).abs().mean(dim=(1, 2, 3)) / 32
    liked, disliked = distances
    assert liked[:2].max() < 0.8 * liked[2:].min()
    assert disliked[2:].max() < 0.8 * disliked[:2].min()


def test_sobol_settings_fill_their_ranges() -> None:
    drawn = sobol_settings(64)
    strengths = torch.tensor([s.strength for s in drawn]).log()
    assert strengths.min() < torch.tensor(0.08).log()
    assert strengths.max() > torch.tensor(5.0).log()
    assert all(s.start <= s.end for s in drawn)
    assert all(1.5 <= s.guidance_scale <= 8 for s in drawn)
    assert drawn == sobol_settings(64)
