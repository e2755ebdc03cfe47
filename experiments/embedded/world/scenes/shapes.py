"""Signed distances of the shapes a scene can show: negative inside, in units of the shape's radius.

Polygons are exact; see Inigo Quilez, "2D distance functions".

Notation:
    p: B x H x W x 2 points relative to the shape's centre, y downwards, radius 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Distance = Callable[[Tensor], Tensor]


def _polygon(vertices: list[tuple[float, float]]) -> Distance:
    """Distance to a closed polygon given by its corners."""

    def distance(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        nearest = torch.full_like(x, torch.inf)
        sign = torch.ones_like(x)
        for (ax, ay), (bx, by) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
            ex, ey = bx - ax, by - ay
            from_ax, from_ay = x - ax, y - ay
            along = ((from_ax * ex + from_ay * ey) / (ex * ex + ey * ey)).clamp_(0, 1)
            offset_x, offset_y = from_ax - along * ex, from_ay - along * ey
            nearest = torch.minimum(nearest, offset_x * offset_x + offset_y * offset_y)
            # Even-odd rule: the sign flips once for each edge that a horizontal ray crosses.
            below_a, above_b, left = y >= ay, y < by, ex * from_ay > ey * from_ax
            crossed = (below_a & above_b & left) | ~(below_a | above_b | left)
            sign = torch.where(crossed, -sign, sign)
        return sign * nearest.sqrt()

    return distance


def _regular(count: int, radii: tuple[float, ...]) -> list[tuple[float, float]]:
    """`count` corners around the centre from the top on, at the given radii in turn."""
    angles = [2 * math.pi * k / count - math.pi / 2 for k in range(count)]
    return [(radii[k % len(radii)] * math.cos(a), radii[k % len(radii)] * math.sin(a)) for k, a in enumerate(angles)]


def _heart_outline(count: int = 24) -> list[tuple[float, float]]:
    corners = []
    for k in range(count):
        t = 2 * math.pi * k / count
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        corners.append((x / 16.5, -(y + 2.5) / 16.5))
    return corners


def _cross_outline(arm: float = 0.36) -> list[tuple[float, float]]:
    corners = [(arm, -1.0), (arm, -arm), (1.0, -arm)]
    quarter_turns = []
    for _ in range(4):
        quarter_turns += corners
        corners = [(-y, x) for x, y in corners]
    return quarter_turns


def _circle(p: Tensor) -> Tensor:
    return p.norm(dim=-1) - 0.92


def _ring(p: Tensor) -> Tensor:
    return (p.norm(dim=-1) - 0.70).abs() - 0.27


def _moon(p: Tensor) -> Tensor:
    bite = p - p.new_tensor((0.52, -0.22))
    return torch.maximum(p.norm(dim=-1) - 1.0, 0.78 - bite.norm(dim=-1))


def _square(p: Tensor) -> Tensor:
    beyond = p.abs() - 0.70
    return beyond.clamp(min=0).norm(dim=-1) + beyond.amax(-1).clamp(max=0) - 0.10


SHAPES: dict[str, Distance] = {
    "circle": _circle,
    "square": _square,
    "triangle": _polygon([(x, y + 0.18) for x, y in _regular(3, (1.15,))]),
    "star": _polygon(_regular(10, (1.12, 0.50))),
    "heart": _polygon(_heart_outline()),
    "cross": _polygon(_cross_outline()),
    "ring": _ring,
    "moon": _moon,
}
