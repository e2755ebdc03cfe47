"""What people do in a session: appended, never overwritten, each act under an id that its client made.

Nothing is changed afterwards: a changed rating is a later record of the same rater and image, and what is undone is
withdrawn by a record of its own.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from experiments.config.errors import in_one_line
from fabric.params import FabricParams
from objectives.richhf import RichRating

Sign: TypeAlias = Literal["liked", "disliked"]
SEEDS = 2**64
_Side: TypeAlias = Annotated[int, Field(ge=8, le=2048)]
_LINE = re.compile(r"[0-9a-f]{16,64}")


class _Record(BaseModel):
    """What all records have.

    Attributes:
        rater: who says it.
        time: when, in seconds since 1970.
        id: of the record; of several with one id the first counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rater: str
    time: float = Field(default_factory=time.time)
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)


class Rating(_Record):
    """A number for one image.

    Attributes:
        image: its id.
        value: 1 (worst) to 5.
    """

    kind: Literal["rating"] = "rating"
    image: str
    value: Annotated[int, Field(ge=1, le=5)]


class Choice(_Record):
    """The best of some images shown together: two for a comparison, K for a pick.

    Attributes:
        options: ids of the images, each once.
        chosen: the best of them; None for "can't tell".
    """

    kind: Literal["choice"] = "choice"
    options: Annotated[tuple[str, ...], Field(strict=False)]  # JSON has a list
    chosen: str | None

    @model_validator(mode="after")
    def _chosen_of_several(self) -> Choice:
        if len(self.options) < 2 or len(set(self.options)) < len(self.options):
            raise ValueError(f"options: {list(self.options)}; allowed: two or more different images")
        if self.chosen is not None and self.chosen not in self.options:
            raise ValueError(f"chosen: {self.chosen!r} is not among the options {list(self.options)}")
        return self


class Withdrawal(_Record):
    """Takes a record back.

    Attributes:
        record: the id of what is withdrawn, one of the same rater.
    """

    kind: Literal["withdrawal"] = "withdrawal"
    record: str


class Mark(_Record):
    """A like or dislike; the image is a reference of the rounds after.

    Attributes:
        image: its id.
        sign: None takes an earlier mark away.
    """

    kind: Literal["mark"] = "mark"
    image: str
    sign: Sign | None


class Upload(_Record):
    """A picture of one's own, liked or disliked.

    Attributes:
        image: its id, as `PictureStore.add` gave it.
        sign: how it is meant.
        name: what the person calls it.
    """

    kind: Literal["upload"] = "upload"
    image: str
    sign: Sign
    name: str = ""


class Prompt(_Record):
    """What the rounds after are to show; feedback is kept."""

    kind: Literal["prompt"] = "prompt"
    prompt: str
    negative_prompt: str = ""


class Favourite(_Record):
    """An image to keep, or no longer."""

    kind: Literal["favourite"] = "favourite"
    image: str
    kept: bool = True


class Freeze(_Record):
    """A knob that the agent is to leave alone.

    Attributes:
        knob: a field of `FabricParams`.
        value: it has from now on; None sets it free.
    """

    kind: Literal["freeze"] = "freeze"
    knob: str
    value: float | None

    @field_validator("knob")
    @classmethod
    def _known(cls, knob: str) -> str:
        if knob not in FabricParams.bounds():
            raise ValueError(f"{knob!r} is unknown; allowed: {', '.join(FabricParams.bounds())}")
        return knob

    @model_validator(mode="after")
    def _in_range(self) -> Freeze:
        low, high = FabricParams.bounds()[self.knob]
        if self.value is not None and not low <= self.value <= high:
            raise ValueError(f"{self.knob}: {self.value} is out of range; allowed: {low:g} to {high:g}")
        return self


class MoreLike(_Record):
    """The next round is to be made with settings near those of an image."""

    kind: Literal["more like"] = "more like"
    image: str


class Variations(_Record):
    """The next round is made as an image was, with other seeds: its prompt, its settings, its references.

    Attributes:
        image: its id, one that was shown.
    """

    kind: Literal["variations"] = "variations"
    image: str


class Making(_Record):
    """How the images of the rounds after are made; None leaves to the session's options what they say.

    Attributes:
        images: of a round, 2 to 16.
        steps: denoising steps, 1 to 1000.
        size: height and width in pixels, up to 2048 each.
        seed: of a round's first image, below 2^64; the others have those after it. In decimal digits, since numbers of
            JavaScript hold 53 bits. None: new seeds for every round.
    """

    kind: Literal["making"] = "making"
    images: Annotated[int, Field(ge=2, le=16)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    size: Annotated[tuple[_Side, _Side] | None, Field(strict=False)] = None  # JSON has a list
    seed: str | None = None

    @field_validator("seed")
    @classmethod
    def _of_64_bits(cls, seed: str | None) -> str | None:
        if seed is not None and (not re.fullmatch("[0-9]{1,20}", seed) or int(seed) >= SEEDS):
            raise ValueError(f"{seed[:64]!r} is no seed; allowed: whole numbers below 2^64")
        return seed


class Branch(_Record):
    """The rounds after go on from an older round, on a line of their own; later rounds of the line left are set aside.

    Attributes:
        line: id of the new line, made by whoever begins it.
        left: id of the line that the round was made on; empty for the first.
        round: its number, 0 for the first.
    """

    kind: Literal["branch"] = "branch"
    line: str
    left: str
    round: Annotated[int, Field(ge=0)]

    @field_validator("line")
    @classmethod
    def _named(cls, line: str) -> str:
        if not _LINE.fullmatch(line):
            raise ValueError(f"{line[:64]!r} is no name of a line; allowed: 16 to 64 hexadecimal digits")
        return line


class Resume(_Record):
    """The rounds after go on on another line.

    Attributes:
        line: its id; empty for the first.
    """

    kind: Literal["resume"] = "resume"
    line: str


class RichFeedback(_Record):
    """RichFeedback feedback on an image.

    Attributes:
        image: its id.
        rich: scores, points and words; of the same rater.
    """

    kind: Literal["rich"] = "rich"
    image: str
    rich: RichRating

    @model_validator(mode="after")
    def _of_one_rater(self) -> RichFeedback:
        if self.rich.rater != self.rater:
            raise ValueError(f"rater: {self.rich.rater!r} in the rich rating; allowed: {self.rater!r}, who says it")
        return self


Record: TypeAlias = Annotated[
    Rating
    | Choice
    | Withdrawal
    | Mark
    | Upload
    | Prompt
    | Favourite
    | Freeze
    | MoreLike
    | Variations
    | Making
    | Branch
    | Resume
    | RichFeedback,
    Field(discriminator="kind"),
]
_READER: TypeAdapter[Record] = TypeAdapter(Record)


def to_dict(record: Record) -> dict[str, Any]:
    """A record as JSON takes it; `from_dict` gives an equal one."""
    return record.model_dump(mode="json")


def from_dict(values: object) -> Record:
    """A record of what `to_dict` gave.

    Args:
        values: a mapping of names to values, as JSON has them.

    Raises:
        ValueError: something is missing, unknown, of a wrong type or out of range; the message is one line and begins
            with the kind and the field.
    """
    try:
        return _READER.validate_python(values)
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None
