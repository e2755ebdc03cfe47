"""The gate of what predictions of rich feedback are good for, as small as can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from experiments.embedded import shipped
from experiments.embedded.gates import rahf_uses as module
from experiments.embedded.gates.masks import with_one_fault
from experiments.embedded.gates.rahf_uses import uses_gate
from experiments.embedded.gates.steering import draw_targets
from experiments.rich_feedback.repair import Repair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rahf")]


def test_what_a_repair_removes_is_counted() -> None:
    faults = module._draw(4)
    nothing = Image.new("L", faults.given[0].size)
    clean = [Image.fromarray(picture.round().astype(np.uint8)) for picture in faults.clean]
    as_they_are = [Repair(picture, nothing, 0, 0) for picture in faults.given]
    as_they_should_be = [Repair(picture, nothing, 0, 0) for picture in clean]
    assert module._removed(faults, as_they_are) == module._outside(faults, as_they_are) == 0
    assert module._removed(faults, as_they_should_be) == pytest.approx(1, abs=1e-3)
    assert module._outside(faults, as_they_should_be) > 1


def test_every_kind_of_fault_is_seen() -> None:
    clean, faulty = with_one_fault(draw_targets(8, seed=9))
    assert ((clean - faulty).abs().amax(dim=(1, 2, 3)) > 0.1).all()


def test_the_gate_measures_every_use() -> None:
    parts = shipped.read_rahf(), shipped.read_generator(), shipped.read_clip(), shipped.read_classifier()
    verdict = uses_gate(*parts, count=4, steps=4)
    assert [check.name.split(",")[0] for check in verdict.checks] == ["repair", "repair"]
    assert {"predicted words", "exact words"} <= {name.partition(" emphasised")[0] for name in verdict.notes}
    assert sum("its mask instead of all of it" in name for name in verdict.notes) == 6
    assert all(math.isfinite(value) for value in verdict.notes.values())
