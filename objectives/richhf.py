"""Rich human feedback in the form of RichHF-18K (Liang et al. 2024, arXiv 2312.10240).

A rater gives four scores, marks points of the image where something is wrong, and words of the prompt that are not
shown. Several raters make a label: mean scores, mean heatmaps, words by majority.
"""

from __future__ import annotations

import io
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Point: TypeAlias = tuple[float, float]
Heatmap: TypeAlias = NDArray[np.float64]

SCORES = ("plausibility", "alignment", "aesthetics", "overall")
MAPS = ("artifact", "misalignment")
# RichHF-18K's names; its artifact_score is high where there are few, as plausibility is.
_SCORE_FIELDS = {
    "plausibility": "artifact_score",
    "alignment": "misalignment_score",
    "aesthetics": "aesthetics_score",
    "overall": "overall_score",
}
SIZE = 512  # RichHF-18K's maps have 512 x 512 values


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


@dataclass(frozen=True)
class RichLabel:
    """What several raters say of one image together.

    Attributes:
        prompt: of the image.
        scores: by the names in `SCORES`, 0 to 1, higher better.
        maps: by the names in `MAPS`, height x width, 0 to 1: the share of raters who marked a place.
        misaligned: for each word of the prompt whether it is not shown.
    """

    prompt: str
    scores: dict[str, float]
    maps: dict[str, Heatmap]
    misaligned: tuple[bool, ...]


def standardise(value: float) -> float:
    """`(s - 1) / 4`: 1 to 5 becomes 0 to 1."""
    return (value - 1) / 4


def heatmap(points: Sequence[Point], size: tuple[int, int] = (SIZE, SIZE), radius: float = 1 / 20) -> Heatmap:
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


def aggregate(ratings: Sequence[RichRating], size: tuple[int, int] = (SIZE, SIZE), radius: float = 1 / 20) -> RichLabel:
    """Several raters' word on one image as one label.

    A word is misaligned where more than half of the raters say so; a tie leaves it aligned. One rater's word stands.

    Args:
        ratings: of one image, at least one.
        size: height and width of the maps.
        radius: of a point, as a fraction of the height.

    Raises:
        ValueError: there are no ratings, or they are of different prompts.
    """
    prompts = {rating.prompt for rating in ratings}
    if len(prompts) != 1:
        raise ValueError(f"ratings: of {len(prompts)} prompts; allowed: one or more ratings of one image")
    prompt = prompts.pop()
    votes = [sum(place in rating.misaligned_words for rating in ratings) for place in range(len(tokens(prompt)))]
    return RichLabel(
        prompt,
        {name: statistics.fmean(standardise(getattr(rating, name)) for rating in ratings) for name in SCORES},
        {
            name: np.mean([heatmap(getattr(rating, f"{name}_points"), size, radius) for rating in ratings], axis=0)
            for name in MAPS
        },
        tuple(2 * count > len(ratings) for count in votes),
    )


def to_richhf(label: RichLabel, filename: str) -> dict[str, float | bytes]:
    """A label as an example of RichHF-18K has it: the features of its records, by name.

    Maps are grey PNGs of 8 bits; of the words 0 is misaligned, 1 aligned.

    Args:
        label: of an image.
        filename: of the image.
    """
    words = " ".join("0" if wrong else "1" for wrong in label.misaligned)
    return {
        "filename": filename.encode(),
        **{_SCORE_FIELDS[name]: value for name, value in label.scores.items()},
        **{f"{name}_map": _to_png(values) for name, values in label.maps.items()},
        "prompt_misalignment_label": words.encode(),
    }


def from_richhf(features: Mapping[str, Any], prompt: str) -> RichLabel:
    """A label of an example of RichHF-18K.

    Args:
        features: by name, as `to_richhf` gives them; empty maps are zeros.
        prompt: of the image; RichHF-18K leaves it to Pick-a-Pic.

    Raises:
        ValueError: a feature is missing, a score out of range, or the words do not fit the prompt.
    """
    wanted = [*_SCORE_FIELDS.values(), *(f"{name}_map" for name in MAPS), "prompt_misalignment_label"]
    if lacking := [name for name in wanted if name not in features]:
        raise ValueError(f"{lacking[0]}: missing; needed: {', '.join(wanted)}")
    scores = {name: float(features[field]) for name, field in _SCORE_FIELDS.items()}
    for name, value in scores.items():
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise ValueError(f"{_SCORE_FIELDS[name]}: {value} is out of range; allowed: 0 to 1")
    words = bytes(features["prompt_misalignment_label"]).decode().split()
    if len(words) != len(tokens(prompt)) or not set(words) <= {"0", "1"}:
        raise ValueError(f"prompt_misalignment_label: {' '.join(words)!r} does not fit the {len(tokens(prompt))} words")
    maps = {name: _from_png(bytes(features[f"{name}_map"])) for name in MAPS}
    return RichLabel(prompt, scores, maps, tuple(word == "0" for word in words))


def _to_png(values: Heatmap) -> bytes:
    file = io.BytesIO()
    Image.fromarray((values * 255).round().astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


def _from_png(data: bytes) -> Heatmap:
    if not data:
        return np.zeros((SIZE, SIZE))
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float64) / 255
