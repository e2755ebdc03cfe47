import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from fabric.seeding import generator_for

# Every word that only an unsaid attribute can bring into a caption ("left" and "right" are positions too).
UNSAID_WORDS = {
    "small",
    "medium",
    "large",
    "plain",
    "striped",
    "dotted",
    "soft",
    "light",
    "from",
    "clear",
    "with",
    "hills",
    "rays",
    "bubbles",
    "none",
    "and",
    "white",
    "black",
    "ball",
    "cube",
}
VALUES = {
    "shape": "star",
    "colour": "red",
    "background": "night",
    "position": "left",
    "size": "small",
    "texture": "dotted",
    "light": "right",
    "style": "rays",
    "companion": "cube",
}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((), "a shape"),
        (("shape",), "a star"),
        (("colour",), "a red shape"),
        (SCENES.short_prompt, "a red star at night"),
        (SCENES.full_prompt, "a red star at night, on the left"),
        (("light", "style"), "a shape, with rays, light from the right"),
        (
            SCENES.names,
            "a small dotted red star at night, on the left, with rays, and a black cube, light from the right",
        ),
    ],
)
def test_caption_states_what_is_said(said: tuple[str, ...], expected: str) -> None:
    assert SCENES.caption(VALUES, said) == expected


def test_opening_stands_before_the_noun() -> None:
    assert SCENES.caption(VALUES, ("shape",), "a drawing of a") == "a drawing of a star"


def test_full_prompt_states_all_that_may_be_stated() -> None:
    assert set(SCENES.full_prompt) == set(SCENES.said)
    assert set(SCENES.short_prompt) < set(SCENES.full_prompt)
    assert not set(SCENES.unsaid) & set(SCENES.full_prompt)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**31),
    said=st.sets(st.sampled_from(SCENES.names)),
    name=st.sampled_from(SCENES.names),
)
def test_caption_depends_on_exactly_what_is_said(seed: int, said: set[str], name: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    scenes = SCENES.sample(10, generator)
    ordered = tuple(sorted(said))
    before = SCENES.captions(scenes, ordered)
    after = SCENES.captions(scenes.changed(name, generator), ordered)
    assert [a != b for a, b in zip(before, after, strict=True)] == [name in said] * 10


def test_no_two_stated_scenes_share_a_full_prompt() -> None:
    everything = [
        dict(zip(SCENES.full_prompt, combination, strict=True))
        for combination in itertools.product(*(SCENES.attributes[name] for name in SCENES.full_prompt))
    ]
    unsaid = {name: SCENES.attributes[name][0] for name in SCENES.unsaid}
    assert len({SCENES.caption(values | unsaid, SCENES.full_prompt) for values in everything}) == len(everything)


def test_values_of_names_the_values_of_a_row() -> None:
    scenes = SCENES.sample(20, generator_for("values"))
    for row in range(20):
        values = SCENES.values_of(scenes, row)
        assert tuple(values) == SCENES.names
        for name, value in values.items():
            assert SCENES.attributes[name].index(value) == scenes.attributes[row, SCENES.column[name]]


def test_captions_are_the_captions_of_the_rows() -> None:
    scenes = SCENES.sample(10, generator_for("captions"))
    expected = [SCENES.caption(SCENES.values_of(scenes, row), SCENES.short_prompt) for row in range(10)]
    assert SCENES.captions(scenes, SCENES.short_prompt) == expected


def test_generator_captions_never_name_unsaid_attributes() -> None:
    generator = generator_for("never")
    scenes = SCENES.sample(2000, generator)
    said = {word for text in SCENES.random_captions(scenes, generator) for word in words(text)}
    assert not said & UNSAID_WORDS
    # The list above is not idle: said with everything, all but the two wordless values appear.
    aloud = {word for text in SCENES.captions(scenes, SCENES.names) for word in words(text)}
    assert UNSAID_WORDS - aloud == {"clear", "none"}
    assert not set(SCENES.said) & set(SCENES.unsaid)


def test_generator_captions_change_with_no_unsaid_attribute() -> None:
    scenes = SCENES.sample(50, generator_for("unchanged"))
    texts = SCENES.random_captions(scenes, generator_for("draw"))
    for name in SCENES.unsaid:
        changed = scenes.changed(name, generator_for(name))
        assert SCENES.random_captions(changed, generator_for("draw")) == texts


@pytest.mark.parametrize("probability", [None, {"size": 0.3, "shape": 0.6, "light": 1.0}])
def test_draw_said_keeps_to_the_probabilities(probability: dict[str, float] | None) -> None:
    count = 4000
    said = SCENES.draw_said(count, generator_for("said"), probability)
    assert said.shape == (count, len(SCENES.names))
    assert said.dtype == torch.bool
    for name in SCENES.names:
        chance = (SCENES.said if probability is None else probability).get(name, 0.0)
        share = float(said[:, SCENES.column[name]].float().mean())
        assert abs(share - chance) <= 4 * (chance * (1 - chance) / count) ** 0.5


def test_captions_stating_follow_each_row_of_said() -> None:
    scenes = SCENES.sample(60, generator_for("stating"))
    said = SCENES.draw_said(60, generator_for("mask"), dict.fromkeys(SCENES.names, 0.5))
    texts = SCENES.captions_stating(scenes, said, generator_for("openings"))
    openings = set()
    for row, text in enumerate(texts):
        stated = tuple(name for name in SCENES.names if said[row, SCENES.column[name]])
        bare = SCENES.caption(SCENES.values_of(scenes, row), stated, opening="")
        assert text.endswith(bare)
        openings.add(text.removesuffix(bare))
    assert len(openings) > 1
    assert "a" in openings


def test_random_captions_repeat_from_equal_generators_and_vary_otherwise() -> None:
    one = Scenes(SCENES, SCENES.sample(1, generator_for("one")).attributes, torch.zeros(1, 24)).repeat(40)
    before = torch.get_rng_state()
    texts = SCENES.random_captions(one, generator_for("x"))
    assert texts == SCENES.random_captions(one, generator_for("x"))
    assert texts != SCENES.random_captions(one, generator_for("y"))
    assert len(set(texts)) > 8
    assert torch.equal(before, torch.get_rng_state())
