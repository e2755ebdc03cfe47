"""Rich human feedback in the form of RichHF-18K (Liang et al. 2024, arXiv 2312.10240).

A rater gives four scores, marks points of the image where something is wrong, and words of the prompt that are not
shown.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.ndimage import binary_dilation

Heatmap: TypeAlias = NDArray[np.float64]
Score: TypeAlias = Annotated[int, Field(ge=1, le=5)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
# JSON has lists where these are tuples.
Point: TypeAlias = Annotated[tuple[Fraction, Fraction], Field(strict=False)]
Points: TypeAlias = Annotated[tuple[Point, ...], Field(strict=False)]
Words: TypeAlias = Annotated[tuple[int, ...], Field(strict=False)]


def tokens(prompt: str) -> list[str]:
    """The words of a prompt as RichHF-18K labels them: split at any of `,.?!":;` and spaces."""
    return [word for word in re.split(r'[,.?!":; ]', prompt) if word]


def words_at(prompt: str, places: Collection[int]) -> frozenset[str]:
    """Words of a prompt, as blanks part them, to which some of its `tokens` belong.

    Args:
        prompt: it.
        places: of tokens.
    """
    numbers = count()  # a tab parts words and no tokens: there may be more of these
    of_words = [(word, {next(numbers) for _ in tokens(word)}) for word in prompt.split()]
    return frozenset(word for word, its in of_words if its & set(places))


class RichRating(BaseModel):
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
        ValueError: something is missing, unknown, of a wrong type or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rater: str
    prompt: str
    plausibility: Score
    alignment: Score
    aesthetics: Score
    overall: Score
    artifact_points: Points = ()
    misalignment_points: Points = ()
    misaligned_words: Words = ()

    @model_validator(mode="after")
    def _words_are_of_the_prompt(self) -> RichRating:
        count = len(tokens(self.prompt))
        if unknown := [place for place in self.misaligned_words if place not in range(count)]:
            raise ValueError(f"misaligned_words: {unknown[0]}; allowed: 0 to {count - 1}, places of words")
        return self


SCORES = ("plausibility", "alignment", "aesthetics", "overall")


@dataclass(frozen=True)
class RichLabel:
    """What all raters of an image say together, as RichHF-18K has it.

    Attributes:
        prompt: of the image.
        scores: of `SCORES`, means of `(rating - 1) / 4`; 0 to 1, higher is better.
        artifact_map: mean of the raters' maps, 0 to 1.
        misalignment_map: likewise.
        misaligned: for each word of `tokens(prompt)` whether most raters miss it.
    """

    prompt: str
    scores: tuple[float, ...]
    artifact_map: Heatmap
    misalignment_map: Heatmap
    misaligned: tuple[bool, ...]


def aggregate(ratings: Sequence[RichRating], size: tuple[int, int]) -> RichLabel:
    """One label of the ratings of one image: means of scores and maps, words by majority.

    Args:
        ratings: one or more, of one prompt.
        size: height and width of the maps.

    Raises:
        ValueError: there are none, or they are of different prompts.
    """
    prompts = {rating.prompt for rating in ratings}
    if len(prompts) != 1:
        raise ValueError(f"ratings: of {len(prompts)} prompts; allowed: one or more of one prompt")
    prompt = prompts.pop()
    missed = [sum(place in rating.misaligned_words for rating in ratings) for place in range(len(tokens(prompt)))]
    return RichLabel(
        prompt,
        tuple(statistics.fmean((getattr(rating, name) - 1) / 4 for rating in ratings) for name in SCORES),
        np.mean([heatmap(rating.artifact_points, size) for rating in ratings], axis=0),
        np.mean([heatmap(rating.misalignment_points, size) for rating in ratings], axis=0),
        tuple(count > len(ratings) / 2 for count in missed),
    )


MARKED = 0.4
"""Share of people who would mark a place, above which it counts as marked."""


def marked_places(heatmap: Heatmap, threshold: float, grow: float) -> NDArray[np.bool_]:
    """Where a map is above a threshold, and what is around it.

    Args:
        heatmap: H x H from 0 to 1.
        threshold: above which a place is marked.
        grow: by how much it grows on all sides, as a share of the height.
    """
    marked: NDArray[np.bool_] = heatmap > threshold
    radius = grow * len(heatmap)
    if radius >= 1:
        y, x = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
        marked = binary_dilation(marked, x**2 + y**2 <= radius**2)
    return marked


def heatmap(points: Sequence[tuple[float, float]], size: tuple[int, int], radius: float = 1 / 20) -> Heatmap:
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
