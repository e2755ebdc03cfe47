"""What people say about images: ratings as numbers, pairs and picks as choices.

Ratings reach the optimiser as means with standard errors (`observations`), choices as they are: a pick of one in K is
one choice among K, not K - 1 independent pairs.
"""

from __future__ import annotations

import math
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

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
        image: its name.
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


def observations(ratings: Iterable[Rating], *, spread: float = 0.2) -> dict[str, Observation]:
    """Means of ratings with their standard errors, by image.

    The spread between raters of one image is pooled over all images (too few rate each to know it singly), starting
    from `spread` with the weight of two ratings; so a single rating has a standard error too.

    Args:
        ratings: one of each rater and image.
        spread: standard deviation of one standardised rating, as long as there is nothing to learn it from.
    """
    by_image: dict[str, list[float]] = defaultdict(list)
    for rating in ratings:
        by_image[rating.image].append(rating.standardised)
    squares = math.fsum(len(values) * statistics.pvariance(values) for values in by_image.values())
    freedom = sum(len(values) - 1 for values in by_image.values())
    pooled = math.sqrt((2 * spread**2 + squares) / (2 + freedom))
    return {
        image: Observation(statistics.fmean(values), pooled / math.sqrt(len(values)), len(values))
        for image, values in by_image.items()
    }
