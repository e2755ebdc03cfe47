"""Renders scenes as 64 x 64 RGB pictures: vectorised, anti-aliased, a function of attributes and jitter alone.

Notation:
    B: scenes, S: side of the picture in pixels.
    canvas: B x 3 x S x S picture in [0, 1] that the layers are painted on, back to front.
    x, y: B x S x S pixel coordinates, y downwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.embedded.world.scenes.attributes import ATTRIBUTES
from experiments.embedded.world.scenes.shapes import SHAPES
from experiments.embedded.world.world import SIDE, Scenes

_COLOURS = torch.tensor(
    [
        (0.88, 0.13, 0.16),  # red
        (0.98, 0.50, 0.06),  # orange
        (1.00, 0.86, 0.10),  # yellow
        (0.11, 0.60, 0.24),  # green
        (0.04, 0.70, 0.72),  # teal
        (0.12, 0.32, 0.86),  # blue
        (0.50, 0.18, 0.72),  # purple
        (0.99, 0.47, 0.70),  # pink
    ]
)
# Top and bottom colour of the gradient of each background.
_BACKGROUNDS = torch.tensor(
    [
        ((0.47, 0.75, 0.97), (0.83, 0.94, 1.00)),  # sky
        ((0.04, 0.06, 0.20), (0.15, 0.18, 0.40)),  # night
        ((0.98, 0.93, 0.80), (0.92, 0.79, 0.57)),  # sand
        ((0.83, 0.95, 0.78), (0.56, 0.80, 0.50)),  # meadow
        ((0.88, 0.92, 0.97), (0.72, 0.78, 0.88)),  # snow
        ((0.27, 0.14, 0.36), (0.78, 0.42, 0.42)),  # dusk
    ]
)
_POSITIONS = torch.tensor([(0.0, 0.0), (-11.0, 0.0), (11.0, 0.0), (0.0, -11.0), (0.0, 11.0)])
_RADII = torch.tensor([10.5, 14.5, 19.0])
_IN_SHADOW = 0.25  # of the light
_LIGHT_X = torch.tensor([0.0, -1.0, 1.0])  # where the light comes from: soft, left, right
_CORNERS = torch.tensor([(10.0, 10.0), (54.0, 10.0), (10.0, 54.0), (54.0, 54.0)])


def _coverage(distance: Tensor, softness: float = 1.0) -> Tensor:
    """Share of a pixel inside a shape, from its signed distance in pixels."""
    return (0.5 - distance / softness).clamp(0, 1)


def _paint(canvas: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    """Lays `colour` (broadcast to B x 3 x S x S) over the canvas with opacity `alpha` (B x S x S)."""
    return canvas + alpha[:, None] * (colour - canvas)


def _signed(jitter: Tensor, scale: float) -> Tensor:
    """Jitter columns as values in [-scale, scale), shaped to broadcast over pixels."""
    return ((jitter * 2 - 1) * scale)[:, None, None]


def _background(scenes: Scenes, x: Tensor, y: Tensor) -> Tensor:
    ends = _BACKGROUNDS[scenes.column("background")]  # B x 2 x 3
    ends = ends + (scenes.jitter[:, 7] * 2 - 1)[:, None, None] * 0.03
    share = (y / SIDE)[:, None]
    return ends[:, 0, :, None, None] * (1 - share) + ends[:, 1, :, None, None] * share


def _hills(canvas: Tensor, phase: Tensor, x: Tensor, y: Tensor) -> Tensor:
    far = 45 + 5 * torch.sin(x / 9.0 + 6.28 * phase[:, 0, None, None])
    near = 54 + 4 * torch.sin(x / 6.5 + 6.28 * phase[:, 1, None, None])
    canvas = _paint(canvas, canvas * 0.80, _coverage(far - y))
    return _paint(canvas, canvas * 0.78, _coverage(near - y))


def _rays(canvas: Tensor, phase: Tensor, x: Tensor, y: Tensor) -> Tensor:
    source_x = (20 + 24 * phase[:, 0])[:, None, None]
    angle = torch.atan2(x - source_x, y + 14.0)
    wave = torch.sin(angle * 15 + 6.28 * phase[:, 1, None, None])
    return _paint(canvas, torch.ones(()), 0.30 * torch.sigmoid(wave * 8) * (1 - 0.4 * y / SIDE))


def _bubbles(canvas: Tensor, phase: Tensor, x: Tensor, y: Tensor) -> Tensor:
    for k in range(5):
        # One bubble in each of five regions, so that they never pile up.
        centre_x = 12.8 * (k + 0.5) + 8 * (phase[:, 2 * k, None, None] - 0.5)
        centre_y = 8 + 48 * ((phase[:, 2 * k + 1, None, None] * 0.4 + 0.37 * k) % 1.0)
        distance = torch.hypot(x - centre_x, y - centre_y) - (5.5 + 1.2 * (k % 3))
        canvas = _paint(canvas, torch.ones(()), 0.30 * _coverage(distance, 2.0))
    return canvas


def _style(canvas: Tensor, scenes: Scenes, x: Tensor, y: Tensor) -> Tensor:
    painters = {"hills": _hills, "rays": _rays, "bubbles": _bubbles}
    for index, name in enumerate(ATTRIBUTES["style"]):
        rows = scenes.column("style") == index
        if name in painters and rows.any():
            phase = scenes.jitter[rows, 10:20]
            canvas[rows] = painters[name](canvas[rows], phase, x[rows], y[rows])
    return canvas


def _main_distance(scenes: Scenes, p: Tensor) -> Tensor:
    """Signed distance to the main shape in units of its radius; p as in `shapes`."""
    distance = torch.empty(p.shape[:-1])
    for index, name in enumerate(ATTRIBUTES["shape"]):
        rows = scenes.column("shape") == index
        if rows.any():
            distance[rows] = SHAPES[name](p[rows])
    return distance


def _texture(fill: Tensor, scenes: Scenes, x: Tensor, y: Tensor) -> Tensor:
    """Paints stripes or dots on the fill; x, y relative to the shape's centre, in pixels."""
    texture, phase = scenes.column("texture"), scenes.jitter[:, 8, None, None]
    striped = (texture == ATTRIBUTES["texture"].index("striped"))[:, None, None]
    dotted = (texture == ATTRIBUTES["texture"].index("dotted"))[:, None, None]
    wave = torch.sin(6.2832 * ((x + y) / 9.0 + phase))
    fill = _paint(fill, torch.ones(()), 0.62 * striped * (0.5 + 2.5 * wave).clamp(0, 1))
    spot_x = (x + 8 * phase + 0.0) % 8 - 4
    spot_y = (y + 8 * phase) % 8 - 4
    return _paint(fill, fill * 0.42, dotted * _coverage(torch.hypot(spot_x, spot_y) - 2.2, 1.2))


def _companion(canvas: Tensor, scenes: Scenes, centre: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Paints the second object in one of the two corners farthest from the main shape."""
    farthest = torch.cdist(centre, _CORNERS).topk(2, dim=1).indices  # B x 2
    choice = (scenes.jitter[:, 20, None] < 0.5).long()
    corner = _CORNERS[farthest.gather(1, choice)[:, 0]]
    corner = corner + (scenes.jitter[:, 21:23] * 2 - 1) * 1.5
    dx, dy = x - corner[:, 0, None, None], y - corner[:, 1, None, None]
    kinds = scenes.column("companion")
    for name, tone, distance in (
        ("ball", 0.99, torch.hypot(dx, dy) - 6.5),
        ("cube", 0.16, torch.maximum(dx.abs(), dy.abs()) - 5.6),
    ):
        present = (kinds == ATTRIBUTES["companion"].index(name)).float()[:, None, None]
        rim = torch.full((), 0.35 if tone > 0.5 else 0.85)
        canvas = _paint(canvas, rim, present * _coverage(distance - 1.0))
        shaded = tone - 0.10 * (dx + dy)[:, None] / 10
        canvas = _paint(canvas, shaded.clamp(0, 1), present * _coverage(distance))
    return canvas


@dataclass(frozen=True)
class _Pose:
    """Where the main shape is.

    Attributes:
        x: coordinates of pixels, as y.
        y: likewise.
        centre: B x 2, of the shape.
        dx: x relative to it, as dy.
        dy: likewise.
        radius: B x 1 x 1, in pixels.
        distance_at: signed distance to the shape, in pixels, of a point relative to its centre.
    """

    x: Tensor
    y: Tensor
    centre: Tensor
    dx: Tensor
    dy: Tensor
    radius: Tensor
    distance_at: Callable[[Tensor, Tensor], Tensor]


def _pose(scenes: Scenes) -> _Pose:
    jitter = scenes.jitter
    x, y = _pixels(len(scenes))
    centre = SIDE / 2 + _POSITIONS[scenes.column("position")] + (jitter[:, 0:2] * 2 - 1) * 1.5
    radius = (_RADII[scenes.column("size")] * (0.95 + 0.10 * jitter[:, 3]))[:, None, None]
    turn = _signed(jitter[:, 2], 0.18)
    cos, sin = torch.cos(turn), torch.sin(turn)

    def distance_at(u: Tensor, v: Tensor) -> Tensor:
        p = torch.stack([cos * u + sin * v, cos * v - sin * u], dim=-1) / radius[..., None]
        return _main_distance(scenes, p) * radius

    return _Pose(x, y, centre, x - centre[:, 0, None, None], y - centre[:, 1, None, None], radius, distance_at)


def pixels() -> tuple[Tensor, Tensor]:
    """Coordinates x and y of the middles of pixels, each S x S."""
    grid = torch.arange(SIDE) + 0.5
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    return x, y


def _pixels(count: int) -> tuple[Tensor, Tensor]:
    """The same for each of some pictures."""
    x, y = pixels()
    return x.expand(count, -1, -1), y.expand(count, -1, -1)


def _lit(canvas: Tensor, scenes: Scenes, x: Tensor) -> Tensor:
    """In the light that falls from one side."""
    light = _LIGHT_X[scenes.column("light")][:, None, None]
    side_light = 1 + 0.34 * light * (x / SIDE - 0.5) * 2
    return (canvas * side_light[:, None]).clamp(0, 1)


def backdrop(scenes: Scenes) -> Tensor:
    """Pictures of scenes without main shape, companion and shadow; as `render`."""
    x, y = _pixels(len(scenes))
    return _lit(_style(_background(scenes, x, y), scenes, x, y), scenes, x)


def _shadow(scenes: Scenes, pose: _Pose) -> Tensor:
    """Opacity of the main shape's shadow, B x S x S."""
    light = _LIGHT_X[scenes.column("light")][:, None, None]
    distance = pose.distance_at(pose.dx + 5.5 * light, pose.dy - 3.5)
    return (0.22 + 0.22 * light.abs()) * _coverage(distance - 1.0, 5.0)


def shadowed(scenes: Scenes, depth: Tensor | float = 1.0) -> Tensor:
    """Backdrops with the main shape's shadow on them, as dark as usual times a depth that broadcasts to B x 64 x 64."""
    opacity = (_shadow(scenes, _pose(scenes)) * depth).clamp(max=1)
    return backdrop(scenes) * (1 - (1 - _IN_SHADOW) * opacity[:, None])


def shape_coverage(scenes: Scenes) -> Tensor:
    """Share of each pixel that the main shape with its rim covers, B x 64 x 64."""
    pose = _pose(scenes)
    return _coverage(pose.distance_at(pose.dx, pose.dy) - 1.3)


def render(scenes: Scenes) -> Tensor:
    """Pictures of scenes.

    Args:
        scenes: B scenes.

    Returns:
        B x 3 x 64 x 64 float32 tensor in [0, 1].
    """
    jitter, pose = scenes.jitter, _pose(scenes)
    x, y, dx, dy = pose.x, pose.y, pose.dx, pose.dy
    canvas = _style(_background(scenes, x, y), scenes, x, y)

    canvas = _paint(canvas, canvas * _IN_SHADOW, _shadow(scenes, pose))
    canvas = _companion(canvas, scenes, pose.centre, x, y)

    colour = _COLOURS[scenes.column("colour")] + (jitter[:, 4:7] * 2 - 1) * 0.03
    fill = _texture(colour[:, :, None, None].expand(-1, -1, SIDE, SIDE), scenes, dx, dy)
    light = _LIGHT_X[scenes.column("light")][:, None, None]
    shade = 1 + 0.20 * (light * dx - 0.4 * dy) / pose.radius
    distance = pose.distance_at(dx, dy)
    canvas = _paint(canvas, torch.full((), 0.98), 0.9 * _coverage(distance - 1.3))  # a light rim
    canvas = _paint(canvas, fill * shade[:, None], _coverage(distance))
    return _lit(canvas, scenes, x)
