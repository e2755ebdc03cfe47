"""What people do in a session: appended, never overwritten, each act under an id that its client made.

Ratings, choices and withdrawals are those of `objectives.human`; the rest is the studio's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from fabric.params import FabricParams
from objectives import human
from objectives.human import Choice, Rating, Statement, Withdrawal
from objectives.richhf import RichRating

Sign: TypeAlias = Literal["liked", "disliked"]


@dataclass(frozen=True, kw_only=True)
class Mark(Statement):
    """A like or dislike; the image is a reference of the rounds after.

    Attributes:
        image: its id.
        sign: None takes an earlier mark away.

    Raises:
        ValueError: the sign is unknown.
    """

    image: str
    sign: Sign | None

    def __post_init__(self) -> None:
        _check_sign(self.sign, None)


@dataclass(frozen=True, kw_only=True)
class Upload(Statement):
    """A picture of one's own, liked or disliked.

    Attributes:
        image: its id, as `StudioSession.add_picture` gave it.
        sign: how it is meant.
        name: what the person calls it.

    Raises:
        ValueError: the sign is unknown.
    """

    image: str
    sign: Sign
    name: str = ""

    def __post_init__(self) -> None:
        _check_sign(self.sign)


@dataclass(frozen=True, kw_only=True)
class Prompt(Statement):
    """What the rounds after are to show; feedback is kept."""

    prompt: str
    negative_prompt: str = ""


@dataclass(frozen=True, kw_only=True)
class Favourite(Statement):
    """An image to keep, or no longer."""

    image: str
    kept: bool = True


@dataclass(frozen=True, kw_only=True)
class Freeze(Statement):
    """A knob that the agent is to leave alone.

    Attributes:
        knob: a field of `FabricParams`.
        value: it has from now on; None sets it free.

    Raises:
        ValueError: the knob is unknown or its value out of range.
    """

    knob: str
    value: float | None

    def __post_init__(self) -> None:
        bounds = FabricParams.bounds()
        if self.knob not in bounds:
            raise ValueError(f"knob: {self.knob!r} is unknown; allowed: {', '.join(bounds)}")
        low, high = bounds[self.knob]
        if self.value is not None and not low <= self.value <= high:
            raise ValueError(f"{self.knob}: {self.value} is out of range; allowed: {low:g} to {high:g}")


@dataclass(frozen=True, kw_only=True)
class MoreLike(Statement):
    """The next round is to be made with settings near those of an image."""

    image: str


@dataclass(frozen=True, kw_only=True)
class Rich(Statement):
    """Rich feedback on an image.

    Attributes:
        image: its id.
        rich: scores, points and words; of the same rater.

    Raises:
        ValueError: the raters differ.
    """

    image: str
    rich: RichRating

    def __post_init__(self) -> None:
        if self.rich.rater != self.rater:
            raise ValueError(f"rater: {self.rich.rater!r} in the rich rating; allowed: {self.rater!r}, who says it")


Record: TypeAlias = Rating | Choice | Withdrawal | Mark | Upload | Prompt | Favourite | Freeze | MoreLike | Rich

_KINDS: dict[str, type[Any]] = {
    **human.KINDS,
    "mark": Mark,
    "upload": Upload,
    "prompt": Prompt,
    "favourite": Favourite,
    "freeze": Freeze,
    "more like": MoreLike,
    "rich": Rich,
}


def to_dict(record: Record) -> dict[str, Any]:
    """A record as JSON takes it; `from_dict` gives an equal one."""
    return human.to_dict(record, _KINDS)


def from_dict(values: dict[str, Any]) -> Record:
    """A record of what `to_dict` gave.

    Raises:
        ValueError: the kind is unknown, a field is missing, unknown or out of range.
    """
    if values.get("kind") == "rich" and isinstance(values.get("rich"), dict):
        values = {**values, "rich": RichRating.from_dict(values["rich"])}
    record: Record = human.from_dict(values, _KINDS)
    return record


def _check_sign(sign: object, *besides: object) -> None:
    if sign not in (*get_args(Sign), *besides):
        raise ValueError(f"sign: {sign!r} is unknown; allowed: {', '.join(get_args(Sign))}")
