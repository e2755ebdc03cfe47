from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from fabric.knobs import KNOBS, Knob
from fabric.params import FabricParams


def test_every_field_has_a_knob_in_the_order_of_the_fields() -> None:
    assert list(KNOBS) == [field.name for field in fields(FabricParams)]
    assert [knob.name for knob in KNOBS.values()] == list(KNOBS)


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_ranges_and_defaults_are_those_of_the_parameters(knob: Knob) -> None:
    assert knob.low <= knob.default <= knob.high
    if knob.by_picture:
        ends = {"a": knob.low, "b": knob.high}
        assert getattr(FabricParams(**{knob.name: ends}), knob.name) == ends  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=rf"^{knob.name}\[a\]: .* allowed: {knob.low:g} to {knob.high:g}$"):
            FabricParams(**{knob.name: {"a": knob.high + 1}})  # type: ignore[arg-type]
        return
    assert getattr(FabricParams(), knob.name) == knob.default
    assert FabricParams.bounds()[knob.name] == (knob.low, knob.high)
    with pytest.raises(ValueError, match=rf"^{knob.name}: .* allowed: {knob.low:g} to {knob.high:g}$"):
        FabricParams(**{knob.name: knob.high + 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_meaning_and_effect_are_sentences(knob: Knob) -> None:
    for sentence in (knob.meaning, knob.effect):
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
        assert len(sentence) < 200
    assert knob.unit
    assert not knob.unit.endswith(".")


def test_the_documentation_of_the_parameters_is_that_of_the_knobs() -> None:
    written = " ".join((inspect.getdoc(FabricParams) or "").split())
    for knob in KNOBS.values():
        assert f" {knob.name}: {knob.meaning} ({knob.range})" in written
