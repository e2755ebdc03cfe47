"""Faults in pictures of scenes, each with its exact map: what predictors of rich feedback are trained and tried on.

The renderer knows everything, so a fault is made of parts that other renderings of the scene have, or of the picture's
own pixels in a wrong place. Its map is where it changed the picture visibly.

Notation:
    B: pictures, S: side in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.embedded.world.degrade import blurred, displaced
from experiments.embedded.world.scenes.render import backdrop, pixels, render, shadowed, shape_coverage
from experiments.embedded.world.world import SIDE, Scenes

_GROUND = 0.01  # by which the ground may be off
_VISIBLE = 0.06  # of the range of a channel: 15 grey levels
_SEVERE = 40.0  # pixels of another colour altogether
_CLEAN = 0.25  # share of pictures without a fault
_MOST = 3  # faults of a picture


@dataclass(frozen=True)
class Faulty:
    """Pictures with faults.

    Attributes:
        pictures: B x 3 x S x S in [0, 1].
        maps: B x S x S, 1 where a fault is visible, else 0.
        severity: B, sum over a picture's faults of how much of each is seen, from 0 to 1; 0 for a clean one.
    """

    pictures: Tensor
    maps: Tensor
    severity: Tensor


Fault = Callable[[Tensor, Scenes, Tensor, torch.Generator], Tensor]
"""From pictures, their scenes, how strong the faults are, B in (0, 1], and a source of randomness to pictures."""


def with_faults(scenes: Scenes, generator: torch.Generator) -> Faulty:
    """Pictures of scenes with up to three faults of different kinds; a quarter of them clean.

    Args:
        scenes: B of the world of scenes.
        generator: the source of randomness.
    """
    count = len(scenes)
    clean = render(scenes)
    number = torch.randint(1, _MOST + 1, (count,), generator=generator)
    number[torch.rand(count, generator=generator) < _CLEAN] = 0
    order = torch.rand(count, len(FAULTS), generator=generator).argsort(dim=1)
    rank = order.argsort(dim=1)  # of each kind in a picture
    pictures, severity = clean.clone(), torch.zeros(count)
    for place, fault in enumerate(FAULTS.values()):
        rows = torch.nonzero(rank[:, place] < number)[:, 0]
        strength = draw_strength(count, generator)
        if len(rows):
            before = pictures[rows]
            pictures[rows] = fault(before, scenes[rows], strength[rows], generator).clamp(0, 1)
            severity[rows] += severity_of(before, pictures[rows])
    return Faulty(pictures, visible(clean, pictures), severity)


def draw_strength(count: int, generator: torch.Generator) -> Tensor:
    """How strong faults are, B from 0.25 to 1."""
    return 0.25 + 0.75 * torch.rand(count, generator=generator)


def visible(before: Tensor, after: Tensor) -> Tensor:
    """Where pictures differ visibly, with a pixel around it: B x S x S of 0 and 1."""
    differs = (_seen(before, after) > 0).float()
    return F.max_pool2d(differs[:, None], 3, stride=1, padding=1)[:, 0]


def severity_of(before: Tensor, after: Tensor) -> Tensor:
    """How much is seen of what pictures were changed by: B from 0 to 1, by area and contrast, with diminishing returns.

    It is not the strength that a fault was drawn with: nobody can see that of a dark shadow on dark ground.
    """
    return 1 - torch.exp(-_seen(before, after).sum(dim=(1, 2)) / _SEVERE)


def _seen(before: Tensor, after: Tensor) -> Tensor:
    """By how much pixels differ in some channel, 0 where it is not visible; B x S x S."""
    differs = (after - before).abs().amax(dim=1)
    return differs * (differs > _VISIBLE)


def _on(share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A pixel of each picture, drawn in proportion to B x S x S shares: x and y, B x 1 x 1."""
    place = torch.multinomial(share.flatten(1) + 1e-6, 1, generator=generator)[:, 0]
    return (place % SIDE + 0.5)[:, None, None], (place // SIDE + 0.5)[:, None, None]


def _edge(scenes: Scenes) -> Tensor:
    """1 on the main shape's outline, B x S x S."""
    inside = (shape_coverage(scenes) > 0.5).float()[:, None]
    return (F.max_pool2d(inside, 3, stride=1, padding=1) - inside)[:, 0]


def _disc(radius: Tensor, share: Tensor, generator: torch.Generator) -> Tensor:
    """Discs of B radii around pixels drawn from shares; B x S x S with soft edges."""
    x, y = pixels()
    centre_x, centre_y = _on(share, generator)
    return (radius[:, None, None] + 0.5 - torch.hypot(x - centre_x, y - centre_y)).clamp(0, 1)


def _window(scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A soft window around a pixel of the main shape, B x 1 x S x S."""
    x, y = pixels()
    centre_x, centre_y = _on(shape_coverage(scenes), generator)
    squared = (x - centre_x) ** 2 + (y - centre_y) ** 2
    return torch.exp(-squared / (2 * (5 + 5 * strength[:, None, None]) ** 2))[:, None]


def _half_plane(scenes: Scenes, generator: torch.Generator) -> Tensor:
    """One side of a line through the middle of the main shape, B x S x S."""
    x, y = pixels()
    share = shape_coverage(scenes)
    total = share.sum(dim=(1, 2), keepdim=True)
    middle_x, middle_y = (share * x).sum((1, 2), True) / total, (share * y).sum((1, 2), True) / total
    angle = 2 * math.pi * torch.rand(len(scenes), 1, 1, generator=generator)
    return (torch.cos(angle) * (x - middle_x) + torch.sin(angle) * (y - middle_y) > 0).float()


def _mixed(pictures: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Pictures with a share of others, B x S x S."""
    return torch.lerp(pictures, others, share[:, None])


def bent_part(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A part of the main shape is pulled to one side."""
    angle = 2 * math.pi * torch.rand(len(pictures), generator=generator)
    pull = (3 + 6 * strength) * 2 / SIDE  # in units of grid_sample, half a picture
    push = torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1) * pull[:, None]
    flow = _window(scenes, strength, generator)[:, 0, :, :, None] * push[:, None, None]
    return displaced(pictures, flow)


def smear(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A part of the main shape is blurred."""
    return torch.lerp(pictures, blurred(pictures, 8), _window(scenes, strength, generator))


def grain(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A part of the main shape is full of noise."""
    noise = torch.randn(pictures.shape, generator=generator) * (0.1 + 0.25 * strength)[:, None, None, None]
    return pictures + noise * _window(scenes, strength, generator)


def bite(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A piece of the main shape is missing at its edge."""
    return _mixed(pictures, backdrop(scenes), _disc(3 + 5 * strength, _edge(scenes), generator))


def doubled_part(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A half of the main shape is there twice, beside itself."""
    share = shape_coverage(scenes) * _half_plane(scenes, generator) * (0.4 + 0.6 * strength)[:, None, None]
    moved, shares = torch.empty_like(pictures), torch.empty_like(share)
    offsets = torch.randint(6, 12, (len(pictures), 2), generator=generator)
    signs = torch.randint(0, 2, (len(pictures), 2), generator=generator) * 2 - 1
    for k, (down, across) in enumerate((offsets * signs).tolist()):
        moved[k] = torch.roll(pictures[k], (down, across), (1, 2))
        shares[k] = torch.roll(share[k], (down, across), (0, 1))
    return _mixed(pictures, moved, shares)


def stray_blob(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A spot of some colour off the main shape."""
    off = 1 - F.max_pool2d(shape_coverage(scenes)[:, None], 9, stride=1, padding=4)[:, 0]
    colour = torch.rand(len(pictures), 3, 1, 1, generator=generator).expand_as(pictures)
    return _mixed(pictures, colour, _disc(1.5 + 3.5 * strength, off, generator))


def spilt_colour(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """One half of the main shape has another colour."""
    other = render(scenes.changed("colour", generator))
    share = shape_coverage(scenes) * _half_plane(scenes, generator) * (0.4 + 0.6 * strength)[:, None, None]
    return _mixed(pictures, other, share)


def impossible_shadow(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """The main shape's shadow falls to a side that the light does not ask for."""
    ground, bare = shadowed(scenes), backdrop(scenes)
    is_ground = (pictures - ground).abs().amax(dim=1) < _GROUND
    wrong = scenes.changed("light", generator)
    darker = shadowed(wrong, (0.8 + 0.8 * strength)[:, None, None]) / backdrop(wrong).clamp(min=_GROUND)
    return _mixed(pictures, bare * darker.clamp(max=1), is_ground.float())


def torn_background(pictures: Tensor, scenes: Scenes, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A patch of the background is of another one, with a hard edge."""
    other = backdrop(scenes.changed("background", generator))
    x, y = pixels()
    off = 1 - shape_coverage(scenes)
    centre_x, centre_y = _on(off, generator)
    half = (5 + 9 * strength)[:, None, None] * (0.6 + 0.8 * torch.rand(2, len(pictures), 1, 1, generator=generator))
    patch = ((x - centre_x).abs() < half[0]) & ((y - centre_y).abs() < half[1])
    return _mixed(pictures, other, patch.float() * off)


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "bent part": bent_part,
        "smear": smear,
        "grain": grain,
        "bite": bite,
        "doubled part": doubled_part,
        "stray blob": stray_blob,
        "spilt colour": spilt_colour,
        "impossible shadow": impossible_shadow,
        "torn background": torn_background,
    }
)
"""Kinds of faults by name."""
