import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes, concatenate
from fabric.seeding import generator_for

RADII = {"small": 10.5, "medium": 14.5, "large": 19.0}
POSITIONS = {
    "centre": (32.0, 32.0),
    "left": (21.0, 32.0),
    "right": (43.0, 32.0),
    "top": (32.0, 21.0),
    "bottom": (32.0, 43.0),
}


def scene(jitter: float = 0.5, **values: str) -> Scenes:
    """One scene of the given attributes; the others have their first value."""
    row = [SCENES.attributes[name].index(values.get(name, SCENES.attributes[name][0])) for name in SCENES.names]
    return Scenes(SCENES, torch.tensor([row]), torch.full((1, SCENES.jitter), jitter))


def coverage(one: Scenes) -> Tensor:
    """Share of each pixel that the main shape covers, S x S, read off pictures alone.

    The shape's colour reaches the picture through its coverage only, so the difference of two colours, over what it
    is in the middle of a filled shape, is the coverage, times a shading that is odd in y about the shape's centre.
    """
    red, blue = one.attributes.clone(), one.attributes.clone()
    red[:, SCENES.column["colour"]] = SCENES.attributes["colour"].index("red")
    blue[:, SCENES.column["colour"]] = SCENES.attributes["colour"].index("blue")
    pair = SCENES.render(Scenes(SCENES, torch.cat([red, blue]), one.jitter.repeat(2, 1)))
    return (pair[0, 0] - pair[1, 0]) / (0.88 - 0.12)


def test_pictures_are_in_range_and_repeat_themselves() -> None:
    scenes, before = SCENES.sample(40, generator_for("range")), torch.get_rng_state()
    attributes, jitter = scenes.attributes.clone(), scenes.jitter.clone()
    pictures = SCENES.render(scenes)
    assert pictures.shape == (40, 3, SCENES.side, SCENES.side)
    assert pictures.dtype == torch.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert pictures.flatten(1).std(1).min() > 0.03
    assert torch.equal(pictures, SCENES.render(scenes))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(attributes, scenes.attributes)
    assert torch.equal(jitter, scenes.jitter)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 8))
def test_a_batch_renders_as_its_rows_do(seed: int, count: int) -> None:
    scenes = SCENES.sample(count, torch.Generator().manual_seed(seed))
    batch = SCENES.render(scenes)
    for row in range(count):
        alone = SCENES.render(scenes[slice(row, row + 1)])[0]
        torch.testing.assert_close(batch[row], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SCENES.names)
def test_every_change_of_an_attribute_is_visible(name: str) -> None:
    generator = generator_for("visible", name)
    scenes = SCENES.sample(80, generator)
    difference = (SCENES.render(scenes.changed(name, generator)) - SCENES.render(scenes)).abs().amax(1)
    # Faintest are rays on snow: 0.02 is five levels of 255.
    assert (difference > 0.02).flatten(1).sum(1).min() >= 40


def test_jitter_varies_pictures_but_not_the_colour_of_the_shape() -> None:
    generator = generator_for("jitter")
    plain = concatenate(*(scene(colour=colour) for colour in SCENES.attributes["colour"]))
    middle = slice(SCENES.side // 2 - 2, SCENES.side // 2 + 2)
    reference = SCENES.render(plain)[:, :, middle, middle].mean((2, 3))
    many = plain.repeat(12).rejittered(generator)
    pictures = SCENES.render(many)
    read = torch.cdist(pictures[:, :, middle, middle].mean((2, 3)), reference).argmin(1)
    assert torch.equal(read, many.column("colour"))
    others = SCENES.render(many.rejittered(generator))
    assert (pictures - others).abs().amax(1).flatten(1).mean(1).min() > 0.003


@pytest.mark.parametrize("size", RADII)
@pytest.mark.parametrize("position", POSITIONS)
def test_a_circle_has_the_area_and_place_of_a_circle(size: str, position: str) -> None:
    share = coverage(scene(size=size, position=position))
    radius = 0.92 * RADII[size]  # all jitter is in the middle of its range
    assert float(share.sum()) == pytest.approx(math.pi * radius**2, rel=0.01)
    grid = torch.arange(SCENES.side) + 0.5
    centre = ((share * grid).sum() / share.sum(), (share * grid[:, None]).sum() / share.sum())
    # Shading moves the centroid in y by a hundredth of the radius or two.
    assert float(centre[0]) == pytest.approx(POSITIONS[position][0], abs=0.01)
    assert float(centre[1]) == pytest.approx(POSITIONS[position][1], abs=0.03 * radius)


@pytest.mark.parametrize("shape", SCENES.attributes["shape"])
def test_edges_are_antialiased(shape: str) -> None:
    share = coverage(scene(shape=shape))
    assert share.min() > -1e-5
    assert share.max() < 1.1  # the shading is 8 percent
    edge = ((share > 0.1) & (share < 0.85)).sum()
    assert edge > 20
    assert (share > 0.85).sum() > edge


@settings(max_examples=8)
@given(
    shape=st.sampled_from(SCENES.attributes["shape"]),
    axis=st.sampled_from((0, 1)),
    shift=st.floats(0.05, 1.0),
)
def test_a_subpixel_shift_moves_coverage_smoothly(shape: str, axis: int, shift: float) -> None:
    before = scene(shape=shape, size="medium")
    jitter = before.jitter.clone()
    jitter[:, axis] += shift / 3  # the whole range of the jitter is three pixels
    difference = coverage(Scenes(SCENES, before.attributes, jitter)) - coverage(before)
    # Coverage rises by one within a pixel, times 1.08 for shading.
    assert 0.3 * shift < difference.abs().max() <= 1.1 * shift
    # A shape that moves keeps its area, up to shading.
    assert abs(float(difference.sum())) < 0.01 * float(coverage(before).sum())


def test_light_brightens_its_side_of_the_picture() -> None:
    scenes = SCENES.sample(30, generator_for("light"))
    halves = []
    for index in range(len(SCENES.attributes["light"])):
        attributes = scenes.attributes.clone()
        attributes[:, SCENES.column["light"]] = index
        picture = SCENES.render(Scenes(SCENES, attributes, scenes.jitter)).mean((1, 2))
        halves.append(picture[:, : SCENES.side // 2].mean(1) / picture[:, SCENES.side // 2 :].mean(1))
    soft, left, right = halves
    assert (left > 1.05 * soft).all()
    assert (right < 0.95 * soft).all()


def test_a_companion_stands_in_one_corner_away_from_the_shape() -> None:
    scenes = SCENES.sample(60, generator_for("companion"))
    attributes = scenes.attributes.clone()
    attributes[:, SCENES.column["companion"]] = 0
    alone = Scenes(SCENES, attributes, scenes.jitter)
    with_one = alone.changed("companion", generator_for("which"))
    different = (SCENES.render(with_one) - SCENES.render(alone)).abs().amax(1) > 1e-4
    grid = torch.arange(SCENES.side) + 0.5
    corners = torch.tensor([(10.0, 10.0), (54.0, 10.0), (10.0, 54.0), (54.0, 54.0)])
    used = set()
    for row in range(60):
        y, x = different[row].nonzero(as_tuple=True)
        points = torch.stack([grid[x], grid[y]], dim=1)
        nearest = torch.cdist(points, corners).argmin(1).unique()
        assert len(nearest) == 1
        assert (points - corners[nearest]).abs().max() < 6.5 + 1.0 + 1.5 + 1.0
        used.add(int(nearest))
        name = SCENES.attributes["position"][int(scenes.column("position")[row])]
        offset = torch.tensor(POSITIONS[name]) - 32
        assert (corners[nearest][0] - 32) @ offset <= 0
    assert used == {0, 1, 2, 3}


def test_style_stays_behind_the_shape() -> None:
    scenes = concatenate(*(scene(style=style, size="large") for style in SCENES.attributes["style"]))
    pictures = SCENES.render(scenes)
    middle = slice(SCENES.side // 2 - 9, SCENES.side // 2 + 9)
    for row in range(1, len(pictures)):
        difference = (pictures[row] - pictures[0]).abs()
        assert difference[:, middle, middle].max() < 1e-6
        assert difference.max() > 0.1


def test_no_scenes_give_no_pictures() -> None:
    assert SCENES.render(SCENES.sample(1, generator_for("none"))[slice(0)]).shape == (0, 3, SCENES.side, SCENES.side)
