"""Draws the pictures of the emoji world: a thing by somebody's hand on a softly shaded backdrop.

Notation:
    B: pictures, S: their side in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from experiments.embedded.world.world import SIDE

BACKDROPS: dict[str, tuple[float, float, float]] = {
    "white": (0.97, 0.97, 0.97),
    "charcoal": (0.22, 0.24, 0.27),
    "mint": (0.66, 0.91, 0.77),
    "lavender": (0.78, 0.72, 0.97),
    "sky": (0.55, 0.79, 0.98),
    "peach": (1.00, 0.80, 0.63),
    "butter": (1.00, 0.89, 0.50),
    "rose": (0.98, 0.62, 0.71),
}
EDGES = ("none", "outline", "shadow")
SCALES = {"small": 0.66, "large": 0.92}  # of the picture's side

_OUTLINE = 5  # side in pixels of the square that the silhouette is grown by
_SHADOW = (2, 3)  # to the right and down, in pixels
_SHADE = 0.10  # how much lighter and darker a backdrop is at its ends

# Columns of the jitter.
JITTER = 6
_SHIFT_X, _SHIFT_Y, _ZOOM, _TURN, _LIGHT, _TONE = range(JITTER)


def _signed(jitter: Tensor) -> Tensor:
    return jitter * 2 - 1


def _backdrop(index: Tensor, jitter: Tensor) -> Tensor:
    """B x 3 x S x S: the colour, lighter towards one side."""
    colours = torch.tensor(list(BACKDROPS.values()))[index]
    angle = 2 * torch.pi * jitter[:, _LIGHT]
    x = torch.linspace(-1, 1, SIDE)
    slope = torch.cos(angle)[:, None, None] * x + torch.sin(angle)[:, None, None] * x[:, None]
    shade = 1 + _SHADE * slope / 2**0.5 + 0.04 * _signed(jitter[:, _TONE])[:, None, None]
    return (colours[:, :, None, None] * shade[:, None]).clamp(0, 1)


def _placed(art: Tensor, scale: Tensor, jitter: Tensor) -> Tensor:
    """Premultiplied RGBA in [0, 1], B x 4 x S x S, at its size and place, turned a little."""
    zoom = 1 / (scale * (1 + 0.06 * _signed(jitter[:, _ZOOM])))
    turn = 0.10 * _signed(jitter[:, _TURN])
    cos, sin = zoom * torch.cos(turn), zoom * torch.sin(turn)
    room = 0.03 + 0.3 * (1 - scale)  # so that nothing leaves the picture
    x, y = (-room * zoom * _signed(jitter[:, k]) for k in (_SHIFT_X, _SHIFT_Y))
    matrix = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    grid = F.affine_grid(matrix, [len(art), 4, SIDE, SIDE], align_corners=False)
    colour, alpha = art[:, :3].float() / 255, art[:, 3:].float() / 255
    return F.grid_sample(torch.cat([colour * alpha, alpha], 1), grid, align_corners=False)


def draw(art: Tensor, backdrop: Tensor, edge: Tensor, scale: Tensor, jitter: Tensor) -> Tensor:
    """Pictures.

    Args:
        art: B x 4 x S x S bytes, RGBA.
        backdrop: B indices into `BACKDROPS`.
        edge: B indices into `EDGES`.
        scale: B sizes of the thing, as a share of the picture's side.
        jitter: B x `JITTER` values in [0, 1).

    Returns:
        B x 3 x S x S in [0, 1].
    """
    canvas = _backdrop(backdrop, jitter)
    thing = _placed(art, scale, jitter)
    alpha = thing[:, 3:]
    shadow = gaussian_blur(alpha.roll(_SHADOW[::-1], (2, 3)), [7, 7], [1.6, 1.6])
    canvas = canvas * (1 - 0.45 * shadow * (edge == EDGES.index("shadow"))[:, None, None, None])
    grown = F.max_pool2d(alpha, _OUTLINE, stride=1, padding=_OUTLINE // 2)
    outline = gaussian_blur(grown, [3, 3], [0.6, 0.6]) * (edge == EDGES.index("outline"))[:, None, None, None]
    canvas = canvas + outline * (1 - canvas)
    return (canvas * (1 - alpha) + thing[:, :3]).clamp(0, 1)
