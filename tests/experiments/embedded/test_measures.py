from __future__ import annotations

import pytest

from experiments.embedded.measures import AttributeAgreement
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from fabric.images import to_pictures
from fabric.seeding import generator_for
from objectives.base import Context, Objective
from objectives.testing import ObjectiveContract


class TestStated(ObjectiveContract):
    def make(self) -> Objective:
        return AttributeAgreement(SCENES, "stated")


class TestUnstated(ObjectiveContract):
    def make(self) -> Objective:
        return AttributeAgreement(SCENES, "unstated")


def test_a_share_of_the_attributes_in_which_all_targets_are_alike() -> None:
    target = SCENES.sample(1, generator_for("measures", 1))
    other = Scenes(SCENES, target.attributes.clone(), target.jitter)
    other.attributes[:, SCENES.column["colour"]] = (
        other.attributes[:, SCENES.column["colour"]] + 3
    ) % 8  # one of three stated
    other.attributes[:, SCENES.column["background"]] = (other.attributes[:, SCENES.column["background"]] + 2) % 6
    (same,), (changed,) = (to_pictures(to_signed(SCENES.render(scenes))) for scenes in (target, other))
    stated, unstated = AttributeAgreement(SCENES, "stated"), AttributeAgreement(SCENES, "unstated")
    context = Context(targets=(same,))
    assert stated([same, changed], [context] * 2) == pytest.approx([1, 1 / 3])
    assert unstated([same], [context]) == [1.0]
    both = Context(targets=(same, changed))  # differ in colour and background, so the shape alone counts
    assert stated([same, changed], [both] * 2) == [1.0, 1.0]
