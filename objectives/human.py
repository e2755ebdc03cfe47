"""What people say about images: ratings as numbers, pairs and picks as choices, kept by an append-only log.

Nothing is overwritten: a changed rating is a later record of the same rater and image, an undone one is withdrawn by a
record of its own. Ratings reach the optimiser as means with standard errors (`observations`), choices as they are
(`choices`): a pick of one in K is one choice among K, not K - 1 independent pairs.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from PIL.Image import Image

from objectives.base import Context, Objective
from objectives.pictures import content_key

SCALE = (1, 5)


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What all records have.

    Attributes:
        rater: who says it.
        time: when, in seconds since 1970.
        id: of the record.
    """

    rater: str
    time: float = field(default_factory=time.time)
    id: str = field(default_factory=_new_id)


@dataclass(frozen=True, kw_only=True)
class Rating(Statement):
    """A number for one image.

    Attributes:
        image: its name; that of `objectives.pictures.content_key` where `HumanRating` is to find it.
        value: 1 (worst) to 5.

    Raises:
        ValueError: the value is out of range.
    """

    image: str
    value: int

    def __post_init__(self) -> None:
        if self.value not in range(SCALE[0], SCALE[1] + 1):
            raise ValueError(f"rating: {self.value!r} is out of range; allowed: whole numbers from 1 to 5")

    @property
    def standardised(self) -> float:
        """`(value - 1) / 4`, 0 to 1."""
        return (self.value - SCALE[0]) / (SCALE[1] - SCALE[0])


@dataclass(frozen=True, kw_only=True)
class Choice(Statement):
    """The best of some images shown together: two for a comparison, K for a pick.

    Attributes:
        options: names of the images, each once.
        chosen: the best of them; None for "can't tell".

    Raises:
        ValueError: fewer than two options, one twice, or a choice that was not among them.
    """

    options: tuple[str, ...]
    chosen: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if len(self.options) < 2 or len(set(self.options)) < len(self.options):
            raise ValueError(f"options: {list(self.options)}; allowed: two or more different images")
        if self.chosen is not None and self.chosen not in self.options:
            raise ValueError(f"chosen: {self.chosen!r} is not among the options {list(self.options)}")


@dataclass(frozen=True, kw_only=True)
class Withdrawal(Statement):
    """Takes a record back.

    Attributes:
        record: the id of what is withdrawn.
    """

    record: str


Record: TypeAlias = Rating | Choice | Withdrawal
KINDS: Mapping[str, type[Any]] = MappingProxyType({"rating": Rating, "choice": Choice, "withdrawal": Withdrawal})
"""Records by the name of their kind."""


def to_dict(record: Statement, kinds: Mapping[str, type[Any]] = KINDS) -> dict[str, Any]:
    """A record as JSON takes it; `from_dict` gives an equal one.

    Args:
        record: of one of the kinds.
        kinds: of records, by name.
    """
    kind = next(name for name, cls in kinds.items() if type(record) is cls)
    return {"kind": kind, **asdict(record)}


def from_dict(values: Mapping[str, Any], kinds: Mapping[str, type[Any]] = KINDS) -> Any:
    """A record of what `to_dict` gave.

    Args:
        values: of the record.
        kinds: of records, by name.

    Raises:
        ValueError: the kind is unknown, a field is missing, unknown or out of range.
    """
    fields = dict(values)
    kind = fields.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"kind: {kind!r} is unknown; allowed: {', '.join(kinds)}")
    try:
        return kinds[kind](**fields)
    except TypeError as error:
        raise ValueError(f"{kind}: {error}") from error


class FeedbackLog:
    """Records in a file, one JSON object a line; a line that a crash tore is passed over.

    Args:
        path: of the file; made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Record) -> None:
        """Adds a record; when this returns it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            # A torn last line must not swallow this one.
            start = b"" if file.tell() == 0 or self._ends_with_newline() else b"\n"
            file.write(start + json.dumps(to_dict(record)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def records(self) -> list[Record]:
        """All records in the order of their writing."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_bytes().splitlines():
            try:
                values = json.loads(line)
            except ValueError:  # torn
                continue
            found.append(from_dict(values))
        return found


def valid(records: Iterable[Record]) -> list[Rating | Choice]:
    """Ratings and choices that stand: not withdrawn, and of several ratings of one image by one rater the last."""
    kept = list(records)
    withdrawn = {record.record for record in kept if isinstance(record, Withdrawal)}
    standing = [one for one in kept if not isinstance(one, Withdrawal) and one.id not in withdrawn]
    last = {(one.rater, one.image): one.id for one in standing if isinstance(one, Rating)}
    return [one for one in standing if isinstance(one, Choice) or last[one.rater, one.image] == one.id]


@dataclass(frozen=True)
class Observation:
    """What raters say of one image together.

    Attributes:
        mean: of the standardised ratings, 0 to 1.
        standard_error: of the mean, known to the optimiser as noise.
        count: of raters.
    """

    mean: float
    standard_error: float
    count: int


def observations(records: Iterable[Record], *, spread: float = 0.2) -> dict[str, Observation]:
    """Means of ratings with their standard errors, by image.

    The spread between raters of one image is pooled over all images (too few rate each to know it singly), starting
    from `spread` with the weight of two ratings; so a single rating has a standard error too.

    Args:
        records: of a log.
        spread: standard deviation of one standardised rating, as long as there is nothing to learn it from.
    """
    by_image: dict[str, list[float]] = defaultdict(list)
    for record in valid(records):
        if isinstance(record, Rating):
            by_image[record.image].append(record.standardised)
    squares = math.fsum(len(some) * statistics.pvariance(some) for some in by_image.values())
    freedom = sum(len(some) - 1 for some in by_image.values())
    pooled = math.sqrt((2 * spread**2 + squares) / (2 + freedom))
    return {
        image: Observation(statistics.fmean(some), pooled / math.sqrt(len(some)), len(some))
        for image, some in by_image.items()
    }


def choices(records: Iterable[Record]) -> list[Choice]:
    """Choices that stand and say something."""
    return [record for record in valid(records) if isinstance(record, Choice) and record.chosen is not None]


class NotYetRatedError(LookupError):
    """People have not rated these images yet.

    Attributes:
        places: of the images in the batch.
    """

    def __init__(self, places: list[int]) -> None:
        super().__init__(f"no rating yet of image(s) {', '.join(map(str, places))}")
        self.places = places


class HumanRating(Objective):
    """The mean of people's ratings of an image, which arrive later and are found by its content.

    Scale: 0 to 1, `(rating - 1) / 4`, the mean over raters.
    Gamed by: what people fall for at first sight; raters drift, so let them see earlier images again.

    Args:
        log: where ratings are written.
    """

    name = "human"
    bounds = (0.0, 1.0)

    def __init__(self, log: FeedbackLog) -> None:
        self.log = log

    def waiting(self, images: Sequence[Image]) -> list[int]:
        """Places of images that nobody has rated."""
        known = observations(self.log.records())
        return [place for place, image in enumerate(images) if content_key(image) not in known]

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`.

        Raises:
            NotYetRatedError: some of them wait for their rating.
        """
        if waiting := self.waiting(images):
            raise NotYetRatedError(waiting)
        known = observations(self.log.records())
        return [known[content_key(image)].mean for image in images]
