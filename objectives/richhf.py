"""Rich human feedback in the form of RichHF-18K (Liang et al. 2024, arXiv 2312.10240).

A rater gives four scores, marks points of the image where something is wrong, and words of the prompt that are not
shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Point: TypeAlias = tuple[float, float]
Heatmap: TypeAlias = NDArray[np.float64]

SCORES = ("plausibility", "alignment", "aesthetics", "overall")
MAPS = ("artifact", "misalignment")


def tokens(prompt: str) -> list[str]:
    """The words of a prompt as RichHF-18K labels them: split at any of `,.?!":;` and spaces."""
    return [word for word in re.split(r'[,.?!":; ]', prompt) if word]


@dataclass(frozen=True, kw_only=True)
class RichRating:
    """What one rater says of one image.

    Attributes:
        rater: who.
        prompt: of the image.
        plausibility: 1 (worst) to 5, as all four; few artifacts.
        alignment: to the prompt.
        aesthetics: how it looks.
        overall: all in all.
        artifact_points: where it is implausible, (x, y) as fractions of width and height.
        misalignment_points: where it is not what the prompt says, likewise.
        misaligned_words: places in `tokens(prompt)` of what is not shown.

    Raises:
        ValueError: something is out of range; the message names field, value and what is allowed.
    """

    rater: str
    prompt: str
    plausibility: int
    alignment: int
    aesthetics: int
    overall: int
    artifact_points: tuple[Point, ...] = ()
    misalignment_points: tuple[Point, ...] = ()
    misaligned_words: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in SCORES:
            if getattr(self, name) not in range(1, 6):
                raise ValueError(f"{name}: {getattr(self, name)!r} is out of range; allowed: whole numbers from 1 to 5")
        for name in MAPS:
            points = tuple((float(x), float(y)) for x, y in getattr(self, f"{name}_points"))
            object.__setattr__(self, f"{name}_points", points)
            if wrong := [point for point in points if not all(0 <= part <= 1 for part in point)]:
                raise ValueError(f"{name}_points: {wrong[0]} is out of range; allowed: fractions from 0 to 1")
        object.__setattr__(self, "misaligned_words", tuple(self.misaligned_words))
        count = len(tokens(self.prompt))
        if wrong_words := [place for place in self.misaligned_words if place not in range(count)]:
            raise ValueError(f"misaligned_words: {wrong_words[0]}; allowed: 0 to {count - 1}, places of words")

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; `from_dict` gives an equal one."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RichRating:
        """Of what `to_dict` gave.

        Raises:
            ValueError: a field is missing, unknown or out of range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"rich rating: {error}") from error


def heatmap(points: Sequence[Point], size: tuple[int, int], radius: float = 1 / 20) -> Heatmap:
    """Discs around points: 1 within the effective radius of any, else 0. No points give zeros.

    Args:
        points: (x, y) as fractions of width and height.
        size: height and width of the map.
        radius: as a fraction of the height.
    """
    rows, columns = size
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    marked = np.zeros(size)
    for across, down in points:
        marked[(x - across * columns) ** 2 + (y - down * rows) ** 2 <= (radius * rows) ** 2] = 1.0
    return marked
