import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from numpy.typing import NDArray

from experiments.embedded.world.scenes.shapes import SHAPES
from experiments.embedded.world.scenes.world import SCENES

Array = NDArray[np.float64]

DENSE = 4000  # boundary points of a reference outline


def around(centre: tuple[float, float], radius: float, count: int = DENSE) -> Array:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], 1)


def along(corners: list[tuple[float, float]]) -> Array:
    """Points on the sides of a polygon."""
    share = np.linspace(0, 1, DENSE // len(corners) + 1)[:, None]
    ends = zip(corners, corners[1:] + corners[:1], strict=True)
    return np.concatenate([np.array(a) * (1 - share) + np.array(b) * share for a, b in ends])


def polar(radius: float, degrees: float) -> tuple[float, float]:
    return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))


def heart_corner(t: float) -> tuple[float, float]:
    """The well-known heart curve, turned y downwards and shrunk."""
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return 16 * math.sin(t) ** 3 / 16.5, -(y + 2.5) / 16.5


TRIANGLE = [(x, y + 0.18) for x, y in (polar(1.15, -90), polar(1.15, 30), polar(1.15, 150))]
STAR = [polar(0.50 if k % 2 else 1.12, 36 * k - 90) for k in range(10)]
HEART = [heart_corner(2 * math.pi * k / 24) for k in range(24)]
A = 0.36
CROSS = [(A, -1), (A, -A), (1, -A), (1, A), (A, A), (A, 1), (-A, 1), (-A, A), (-1, A), (-1, -A)]
CROSS += [(-A, -A), (-A, -1)]
POLYGONS = {"triangle": TRIANGLE, "star": STAR, "heart": HEART, "cross": CROSS}


def rounded_square() -> Array:
    half, corner, side = 0.80, 0.10, np.linspace(-0.7, 0.7, DENSE // 4)
    lines = [np.stack([side, np.full(len(side), s * half)], 1) for s in (-1, 1)]
    lines += [line[:, ::-1] for line in lines]
    arcs = []
    for cx in (-0.7, 0.7):
        for cy in (-0.7, 0.7):
            arc = around((cx, cy), corner)
            arcs.append(arc[(np.abs(arc) >= 0.7).all(axis=1)])
    return np.concatenate(lines + arcs)


def moon_outline() -> Array:
    outer, bite = around((0, 0), 1.0), around((0.52, -0.22), 0.78)
    inside_bite = np.hypot(outer[:, 0] - 0.52, outer[:, 1] + 0.22) < 0.78
    return np.concatenate([outer[~inside_bite], bite[np.hypot(*bite.T) < 1]])


OUTLINES = {
    "circle": around((0, 0), 0.92),
    "ring": np.concatenate([around((0, 0), 0.97), around((0, 0), 0.43)]),
    "square": rounded_square(),
    "moon": moon_outline(),
} | {name: along(corners) for name, corners in POLYGONS.items()}


def inside_rounded_square(p: Array) -> NDArray[np.bool_]:
    x, y = np.abs(p).T
    bars = ((x < 0.8) & (y < 0.7)) | ((x < 0.7) & (y < 0.8))
    return bars | (np.hypot(x - 0.7, y - 0.7) < 0.1)


INSIDE: dict[str, Callable[[Array], NDArray[np.bool_]]] = {
    "circle": lambda p: np.hypot(*p.T) < 0.92,
    "ring": lambda p: (np.hypot(*p.T) < 0.97) & (np.hypot(*p.T) > 0.43),
    "square": inside_rounded_square,
    "moon": lambda p: (np.hypot(*p.T) < 1) & (np.hypot(p[:, 0] - 0.52, p[:, 1] + 0.22) > 0.78),
} | {name: Polygon(corners).contains_points for name, corners in POLYGONS.items()}


def signed_distance(name: str, points: Array) -> Array:
    """What the module under test says of N x 2 points."""
    p = torch.from_numpy(points).float()[None, None]
    return SHAPES[name](p)[0, 0].double().numpy()


def grid(reach: float = 1.6, count: int = 41) -> Array:
    # An odd shift keeps points off the outlines' straight sides.
    line = np.linspace(-reach, reach, count) + 0.00317
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def test_there_is_a_distance_for_every_shape_of_a_scene() -> None:
    assert tuple(SHAPES) == SCENES.attributes["shape"]
    assert set(INSIDE) == set(OUTLINES) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_sign_tells_inside_from_outside(name: str) -> None:
    points = grid()
    distance, inside = signed_distance(name, points), INSIDE[name](points)
    clear = np.abs(distance) > 1e-4
    assert clear.mean() > 0.99
    assert np.array_equal(distance[clear] < 0, inside[clear])
    assert 0.05 < inside.mean() < 0.5


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "moon"])
def test_magnitude_is_the_distance_to_the_nearest_point_of_the_outline(name: str) -> None:
    points = grid(count=21)
    gaps = points[:, None] - OUTLINES[name][None]
    nearest = np.sqrt((gaps**2).sum(-1)).min(1)
    assert np.abs(signed_distance(name, points)) == pytest.approx(nearest, abs=2e-3)


def test_moon_is_a_lower_bound_that_is_exact_but_for_its_horns() -> None:
    points = grid(count=21)
    gaps = points[:, None] - OUTLINES["moon"][None]
    nearest = np.sqrt((gaps**2).sum(-1)).min(1)
    distance = np.abs(signed_distance("moon", points))
    assert (distance <= nearest + 2e-3).all()
    inside = INSIDE["moon"](points)
    assert distance[inside] == pytest.approx(nearest[inside], abs=2e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_distance_is_zero_on_the_outline(name: str) -> None:
    assert np.abs(signed_distance(name, OUTLINES[name])).max() < 1e-4


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(tuple(SHAPES)))
def test_distance_changes_no_faster_than_the_point_moves(seed: int, name: str) -> None:
    random = np.random.default_rng(seed)
    first = random.uniform(-2, 2, (200, 2))
    second = first + random.normal(0, 0.2, (200, 2))
    moved = np.hypot(*(second - first).T)
    difference = np.abs(signed_distance(name, second) - signed_distance(name, first))
    assert (difference <= moved + 1e-5).all()


@pytest.mark.parametrize("name", SHAPES)
def test_distance_takes_points_of_a_batch_of_pictures(name: str) -> None:
    p = torch.rand(2, 3, 5, 2, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
    batch = SHAPES[name](p)
    assert batch.shape == (2, 3, 5)
    single = signed_distance(name, p.reshape(-1, 2).double().numpy())
    assert batch.reshape(-1).numpy() == pytest.approx(single, abs=1e-6)
