from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from experiments.embedded.world.emoji.art import SETS
from experiments.embedded.world.emoji.concepts import CONCEPTS
from experiments.embedded.world.emoji.draw import BACKDROPS
from experiments.embedded.world.emoji.world import WORDS, EmojiWorld, plural
from experiments.embedded.world.world import Scenes, words_of
from fabric.seeding import generator_for


@pytest.fixture(scope="module")
def world() -> EmojiWorld:
    """A world whose things are discs, each of its own colour."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    inside = ((x - 31.5) ** 2 + (y - 31.5) ** 2 < 28**2).byte()
    colour = torch.randint(40, 216, (len(CONCEPTS), len(SETS), 3, 1, 1), generator=generator_for("colours")).byte()
    alpha = (255 * inside).expand(len(CONCEPTS), len(SETS), 1, 64, 64)
    return EmojiWorld(torch.cat([colour.expand(-1, -1, -1, 64, 64), alpha], dim=2))


def _scene(world: EmojiWorld, jitter: float = 0.5, **values: str) -> Scenes:
    first = {name: options[0] for name, options in world.attributes.items()}
    row = [world.attributes[name].index(value) for name, value in (first | values).items()]
    return Scenes(world, torch.tensor([row]), torch.full((1, world.jitter), jitter))


def test_pictures_are_in_range_and_leave_their_scene_alone(world: EmojiWorld) -> None:
    scenes = world.sample(40, generator_for("scenes"))
    attributes, jitter = scenes.attributes.clone(), scenes.jitter.clone()
    pictures = world.render(scenes)
    assert pictures.shape == (40, 3, 64, 64)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert torch.equal(scenes.attributes, attributes)
    assert torch.equal(scenes.jitter, jitter)
    torch.testing.assert_close(world.render(scenes)[7], world.render(scenes[7:8])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("backdrop", BACKDROPS)
def test_the_backdrop_is_around_the_thing(world: EmojiWorld, backdrop: str) -> None:
    corner = world.render(_scene(world, backdrop=backdrop, size="small"))[0, :, :4, :4].mean((1, 2))
    distance = {name: float((corner - torch.tensor(colour)).norm()) for name, colour in BACKDROPS.items()}
    assert min(distance, key=lambda name: distance[name]) == backdrop


def test_the_thing_has_its_size(world: EmojiWorld) -> None:
    for size, scale in (("small", 0.66), ("large", 0.92)):
        picture = world.render(_scene(world, size=size, backdrop="white"))[0]
        differs = (picture - picture[:, :1, :1]).abs().amax(0) > 0.15
        across = int(differs.any(0).sum())
        assert across == pytest.approx(scale * 56, abs=2), size


def test_an_outline_is_white_and_a_shadow_dark(world: EmojiWorld) -> None:
    plain, outlined, shaded = (
        world.render(_scene(world, edge=edge, size="small", backdrop="mint"))[0].mean(0)
        for edge in ("none", "outline", "shadow")
    )
    rim = (outlined - plain) > 0.05
    assert 80 < int(rim.sum()) < 500
    assert outlined[rim].max() > 0.97
    dark = (plain - shaded) > 0.05
    assert 80 < int(dark.sum()) < 900
    rows, columns = (dark.nonzero()[:, k].float().mean() for k in (0, 1))
    assert rows > 32  # below and to the right
    assert columns > 32


def test_one_concept_and_hand_in_fifteen_is_held_out(world: EmojiWorld) -> None:
    scenes = world.sample(6000, generator_for("held out"))
    assert float(world.is_held_out(scenes).float().mean()) == pytest.approx(1 / 15, abs=0.01)
    everything = torch.cartesian_prod(torch.arange(len(CONCEPTS)), torch.arange(len(SETS)))
    rest = torch.zeros(len(everything), len(world.names) - 2, dtype=torch.int64)
    held = world.is_held_out(Scenes(world, torch.cat([everything, rest], 1), torch.zeros(len(everything), 6)))
    table = held.reshape(len(CONCEPTS), len(SETS))
    assert table.sum(1).max() == 1  # at least four hands have drawn each thing
    assert table.sum(0).min() >= 5
    assert not world.is_held_out(world.sample(50, generator_for("x"), held_out=False)).any()
    assert world.is_held_out(world.sample(50, generator_for("x"), held_out=True)).all()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (("concept",), "an owl"),
        (("concept", "hand"), "a glossy owl"),
        (("concept", "backdrop"), "an owl on mint"),
        (("concept", "hand", "backdrop", "edge", "size"), "a small glossy owl on mint with a shadow"),
        (("backdrop",), "a thing on mint"),
    ],
)
def test_captions_say_what_they_are_to_say(world: EmojiWorld, said: tuple[str, ...], text: str) -> None:
    scene = _scene(world, concept="owl", hand="glossy", backdrop="mint", edge="shadow", size="small")
    assert world.captions(scene, said) == [text]


def test_training_captions_vary_but_name_the_thing(world: EmojiWorld) -> None:
    scenes = world.sample(400, generator_for("captions"))
    texts = world.random_captions(scenes, generator_for("texts"))
    assert texts == world.random_captions(scenes, generator_for("texts"))
    for row, text in enumerate(texts):
        words = WORDS[world.values_of(scenes, row)["concept"]]
        assert any(word in text or plural(word) in text for word in words), text
        assert "  " not in text
        assert not text.startswith(" ")
    assert words_of(" ".join(texts)) <= world.words
    beginnings = {text.split(" ")[0] for text in texts}
    assert {"a", "the", "one"} < beginnings
    stated = world.draw_said(4000, generator_for("said")).float().mean(0)
    assert stated.tolist() == pytest.approx([EmojiWorld.said[name] for name in world.names], abs=0.03)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fox", "foxes"),
        ("cherry", "cherries"),
        ("monkey", "monkeys"),
        ("leaf", "leaves"),
        ("bunch of grapes", "bunches of grapes"),
        ("octopus", "octopuses"),
        ("fries", "fries"),
        ("police car", "police cars"),
    ],
)
def test_plurals(word: str, expected: str) -> None:
    assert plural(word) == expected


def test_no_two_concepts_share_a_word() -> None:
    words = [word for words in CONCEPTS.values() for word in words]
    assert len(words) == len(set(words))


def test_without_its_pictures_it_still_has_words() -> None:
    bare = EmojiWorld()
    scenes = bare.sample(1, generator_for("bare"))
    assert bare.captions(scenes, bare.short_prompt)
    with pytest.raises(FileNotFoundError, match=r"not shipped: python -m experiments.embedded emoji brings them"):
        bare.render(scenes)


@given(seed=st.integers(0, 2**31))
def test_the_middle_is_the_things_own_colour(world: EmojiWorld, seed: int) -> None:
    scenes = world.sample(1, torch.Generator().manual_seed(seed))
    art: Tensor = world._art[scenes.column("concept"), scenes.column("hand")]  # type: ignore[index]
    middle = world.render(scenes)[0, :, 28:36, 28:36].mean((1, 2))
    assert torch.allclose(middle, art[0, :3, 32, 32].float() / 255, atol=0.02)
