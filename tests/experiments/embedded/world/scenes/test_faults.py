"""Every fault changes what its map says, and nothing else."""

from __future__ import annotations

import pytest
import torch

from experiments.embedded.world.scenes.faults import FAULTS, visible, with_faults
from experiments.embedded.world.scenes.render import backdrop, render, shape_coverage
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from fabric.seeding import generator_for


def _scenes(count: int = 24) -> Scenes:
    return SCENES.sample(count, generator_for("faults"))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_visible_in_places_and_grows_with_its_severity(name: str) -> None:
    scenes = _scenes()
    clean = render(scenes)
    areas = []
    for strength in (0.25, 1.0):
        severity = torch.full((len(scenes),), strength)
        faulty = FAULTS[name](clean, scenes, severity, generator_for("fault", name)).clamp(0, 1)
        areas.append(visible(clean, faulty).mean(dim=(1, 2)))
    assert float((areas[1] > 0).float().mean()) > 0.8
    assert float(areas[1].mean()) < 0.5
    assert float(areas[1].mean()) > float(areas[0].mean())
    assert torch.equal(clean, render(scenes))


def test_outside_its_map_nothing_is_visible_and_clean_pictures_are_clean() -> None:
    scenes = _scenes(200)
    faulty, clean = with_faults(scenes, generator_for("mixed")), render(scenes)
    difference = (faulty.pictures - clean).abs().amax(dim=1)
    assert float((difference * (1 - faulty.maps)).max()) <= 0.06
    untouched = faulty.severity == 0
    assert 0.15 < float(untouched.float().mean()) < 0.35
    assert torch.equal(faulty.pictures[untouched], clean[untouched])
    assert float(faulty.maps[untouched].max()) == 0
    assert float((faulty.maps[~untouched].amax(dim=(1, 2)) > 0).float().mean()) > 0.95


def test_the_same_draws_give_the_same_faults() -> None:
    one, two = (with_faults(_scenes(), generator_for("again")) for _ in range(2))
    assert torch.equal(one.pictures, two.pictures)
    assert not torch.equal(one.pictures, with_faults(_scenes(), generator_for("other")).pictures)


def test_the_parts_of_a_rendering_are_its_own() -> None:
    scenes = _scenes()
    picture, bare, covered = render(scenes), backdrop(scenes), shape_coverage(scenes)
    far = torch.nn.functional.max_pool2d(covered[:, None], 33, stride=1, padding=16)[:, 0] == 0
    alone = scenes.column("companion") == 0
    apart = (picture - bare).abs().amax(dim=1)
    assert float(apart[alone][far[alone]].max()) < 1e-6
    assert float(apart[covered > 0.99].mean()) > 0.2
