"""Rich feedback on pictures of scenes: the truth, which the renderer knows, and what simulated raters say of it.

Notation:
    B: pictures, S: side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from experiments.embedded.models.preference import BEST_TASTE, kept_share, taste
from experiments.embedded.world.scenes.faults import Faulty, draw_strength, severity_of, visible, with_faults
from experiments.embedded.world.scenes.render import render, shape_coverage
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import SIDE, Scenes
from objectives.richhf import SCORES, RichRating, tokens

_SAID = dict.fromkeys(SCENES.attributes, 0.5) | {"shape": 1.0, "light": 0.25}
_CHANGED = (0.35, 0.3, 0.2, 0.15)  # how often 0, 1, 2 or 3 of the stated attributes are not shown
_FAULT_COSTS = 0.35  # of plausibility, for each fault of full severity: the mean over pictures is about 2 in 3
_DAMAGED = 0.2
_OBJECT = ("shape", "colour", "texture", "size", "position", "light")
_EMPTY_WORDS = frozenset({"a", "an", "and", "at", "from", "in", "of", "on", "one", "the", "with"})
# Of raters: three who round a Likert value with this standard deviation agree fully on a quarter of the pictures and
# within one step on 85 %, as the paper's do (Liang et al. 2024, arXiv 2312.10240, section 3.3).
_LIKERT, _MISSED, _JITTER, _SLIPS = 0.55, 0.15, 1.5, 0.02


@dataclass(frozen=True)
class RichTruth:
    """Pictures with all that is to be said of them.

    Attributes:
        pictures: B x 3 x S x S in [0, 1].
        prompts: B texts.
        scores: B x 4, of `objectives.richhf.SCORES`, 0 to 1.
        artifacts: B x S x S, 1 where a fault is visible.
        misalignment: B x S x S, 1 where something is not as the prompt says.
        misaligned: for each word of `tokens(prompt)` whether it is not shown.
        attributes: B x A, what the pictures show.
    """

    pictures: Tensor
    prompts: list[str]
    scores: Tensor
    artifacts: Tensor
    misalignment: Tensor
    misaligned: list[tuple[bool, ...]]
    attributes: Tensor


Damage = Callable[[Tensor, Sequence[str], Tensor, torch.Generator], Tensor]
"""From pictures, their captions, how strong it is, B in (0, 1], and a source of randomness to pictures."""


def draw_truth(count: int, generator: torch.Generator, damage: Damage | None = None) -> RichTruth:
    """Draws pictures of which some have faults, and some do not show what their prompt says.

    Args:
        count: B.
        generator: the source of randomness.
        damage: further faults, which a fifth of the pictures get instead; none by default.
    """
    asked, said = SCENES.sample(count, generator), SCENES.draw_said(count, generator, _SAID)
    prompts = SCENES.captions_stating(asked, said, generator)
    shown, changed = _broken(asked, said, generator)
    faulty = with_faults(shown, generator)
    if damage is not None:
        faulty = _damaged(faulty, shown, damage, generator)
    plausibility = (1 - _FAULT_COSTS * faulty.severity).clamp(min=0)
    alignment = kept_share(shown, asked.attributes, said)
    aesthetics = 0.8 * taste(shown) / BEST_TASTE + 0.2 * plausibility
    overall = 0.35 * plausibility + 0.35 * alignment + 0.3 * aesthetics
    names = [SCENES.names_of(row[None])[0] for row in changed]
    stated = SCENES.names_of(said)
    return RichTruth(
        faulty.pictures,
        prompts,
        torch.stack([plausibility, alignment, aesthetics, overall], dim=1).clamp(max=1),
        faulty.maps,
        _regions(shown, asked, changed),
        [
            misaligned_words(prompt, SCENES.values_of(asked, row), stated[row], names[row])
            for row, prompt in enumerate(prompts)
        ],
        shown.attributes,
    )


def _damaged(faulty: Faulty, shown: Scenes, damage: Damage, generator: torch.Generator) -> Faulty:
    """The same with a fifth of the pictures damaged in another way."""
    rows = torch.rand(len(shown), generator=generator) < _DAMAGED
    if not rows.any():
        return faulty
    some = shown[rows]
    clean, strength = render(some), draw_strength(len(some), generator)
    pictures, maps, severity = faulty.pictures.clone(), faulty.maps.clone(), faulty.severity.clone()
    pictures[rows] = damage(clean, SCENES.captions(some, SCENES.full_prompt), strength, generator).clamp(0, 1)
    maps[rows] = visible(clean, pictures[rows])
    severity[rows] = severity_of(clean, pictures[rows])
    return Faulty(pictures, maps, severity)


def _broken(asked: Scenes, said: Tensor, generator: torch.Generator) -> tuple[Scenes, Tensor]:
    """Scenes that do not show some of what is said, and what they do not, B x A bool."""
    number = torch.multinomial(torch.tensor(_CHANGED), len(asked), replacement=True, generator=generator)
    rank = (torch.rand(said.shape, generator=generator) * said).argsort(dim=1, descending=True).argsort(dim=1)
    changed = said & (rank < number[:, None])
    shown = Scenes(asked.world, asked.attributes.clone(), asked.jitter)
    for name, column in SCENES.column.items():
        rows = changed[:, column]
        if rows.any():
            shown.attributes[rows, column] = shown[rows].changed(name, generator).attributes[:, column]
    return shown, changed


def _regions(shown: Scenes, asked: Scenes, changed: Tensor) -> Tensor:
    """Where pictures are not as they should be: the shape, what is around it, or a second object that nobody asked for.

    What is absent has no place.
    """
    covered = (shape_coverage(shown) > 0.5).float()
    of_object, around = (
        changed[:, [SCENES.column[name] for name in names]].any(dim=1).float()[:, None, None]
        for names in (_OBJECT, ("background", "style"))
    )
    alone = Scenes(shown.world, shown.attributes.clone(), shown.jitter)
    alone.attributes[:, SCENES.column["companion"]] = 0
    companion = visible(render(alone), render(shown)) * changed[:, SCENES.column["companion"], None, None]
    return torch.maximum(companion, torch.maximum(covered * of_object, (1 - covered) * around))


def misaligned_words(
    prompt: str, values: dict[str, str], said: tuple[str, ...], changed: tuple[str, ...]
) -> tuple[bool, ...]:
    """Which words of a prompt are not shown.

    Args:
        prompt: states the attributes in `said` of a scene.
        values: what it says, by attribute.
        said: attributes that it states.
        changed: those of them that the picture does not show.

    Returns:
        One value for each of `tokens(prompt)`; words that only join others are never misaligned.
    """
    words = tokens(prompt)
    opening = max(0, len(words) - len(tokens(SCENES.caption(values, said))))
    wrong = set[int]()
    for name in changed:
        without = tokens(SCENES.caption(values, tuple(other for other in said if other != name)))
        for kind, first, last, _, _ in SequenceMatcher(None, words[opening:], without, False).get_opcodes():
            if kind in ("delete", "replace"):
                wrong |= set(range(opening + first, opening + last))
    return tuple(place in wrong and word not in _EMPTY_WORDS for place, word in enumerate(words))


def ratings_of(truth: RichTruth, row: int, generator: np.random.Generator, raters: int = 3) -> list[RichRating]:
    """What simulated raters say of one picture.

    Args:
        truth: of it and others.
        row: of it.
        generator: the source of randomness.
        raters: how many.
    """
    return [_rating(truth, row, f"rater {number + 1}", generator) for number in range(raters)]


def _rating(truth: RichTruth, row: int, rater: str, generator: np.random.Generator) -> RichRating:
    likert = 1 + 4 * truth.scores[row].numpy() + generator.normal(0, _LIKERT, len(SCORES))
    scores = dict(zip(SCORES, np.clip(np.rint(likert), 1, 5).astype(int).tolist(), strict=True))
    said = [
        place
        for place, wrong in enumerate(truth.misaligned[row])
        if generator.random() < (1 - _MISSED if wrong else _SLIPS)
    ]
    return RichRating(
        rater=rater,
        prompt=truth.prompts[row],
        artifact_points=_points(truth.artifacts[row], generator),
        misalignment_points=_points(truth.misalignment[row], generator),
        misaligned_words=tuple(said),
        **scores,
    )


def _points(heatmap: Tensor, generator: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """A point for each marked part of a map, near a pixel of it, unless it is missed."""
    parts, count = ndimage.label(heatmap.numpy())
    found: list[tuple[float, float]] = []
    for part in range(1, count + 1):
        pixels = np.argwhere(parts == part)
        if generator.random() < _MISSED:
            continue
        down, across = pixels[int(generator.integers(len(pixels)))]
        near = np.array([across, down]) + 0.5 + generator.normal(0, _JITTER, 2)
        x, y = np.clip(near / SIDE, 0, 1).tolist()
        found.append((x, y))
    return tuple(found)
