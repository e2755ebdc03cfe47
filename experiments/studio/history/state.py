"""The state of a session: a pure fold over what was shown (trials) and what was done (records).

The fold depends on the order of records alone, counts a record once however often it was sent, and forgets what was
withdrawn; so whoever reads the study sees the same, in any process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from experiments.studio.history.lines import FIRST, Line, lines_of
from experiments.studio.history.records import (
    Branch,
    Choice,
    Favourite,
    Freeze,
    Making,
    Mark,
    MoreLike,
    Prompt,
    Rating,
    Record,
    Resume,
    RichFeedback,
    Sign,
    Upload,
    Variations,
)
from experiments.studio.history.shown import Round, ShownImage, rounds_of
from experiments.studio.history.undo import redoable_of, standing_of
from objectives.richhf import RichRating


@dataclass(frozen=True)
class State:
    """What a session is at one moment.

    Attributes:
        made: rounds of all lines, as they were made.
        lines: by id, in the order in which they were begun; one that was left before it had a round is none.
        line: id of the present one.
        prompt: of the next round; None before the first.
        negative_prompt: likewise.
        marks: by rater, by image; of all lines, as the next five.
        ratings: by rater, by image, 1 to 5.
        choices: that stand, "can't tell" among them.
        rich: by rater, by image.
        favourites: kept images, in the order in which they were.
        uploads: names of uploaded pictures, by id.
        frozen: values of knobs that the agent leaves alone.
        wish: what the next round follows, if anything; of several wishes the latest.
        making: how the next round is made, where somebody said so.
        undoable: by rater the record that undo would take back.
        redoable: by rater the record that was taken back the latest, if nothing else was done since.
    """

    made: tuple[Round, ...] = ()
    lines: dict[str, Line] = field(default_factory=lambda: {FIRST: Line()})
    line: str = FIRST
    prompt: str | None = None
    negative_prompt: str = ""
    marks: dict[str, dict[str, Sign]] = field(default_factory=dict)
    ratings: dict[str, dict[str, int]] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    rich: dict[str, dict[str, RichRating]] = field(default_factory=dict)
    favourites: tuple[str, ...] = ()
    uploads: dict[str, str] = field(default_factory=dict)
    frozen: dict[str, float] = field(default_factory=dict)
    wish: MoreLike | Variations | None = None
    making: Making | None = None
    undoable: dict[str, Record] = field(default_factory=dict)
    redoable: dict[str, Record] = field(default_factory=dict)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Those of the present line."""
        return self.lines[self.line].rounds

    @cached_property
    def images(self) -> dict[str, ShownImage]:
        """What was shown, by id, on all lines; of a picture that came out in several rounds the first."""
        found: dict[str, ShownImage] = {}
        for images in self.made:
            for image in images:
                found.setdefault(image.id, image)
        return found

    @cached_property
    def aside(self) -> frozenset[str]:
        """Images of other lines alone, which steer nothing on the present one."""
        here = {image.id for images in self.rounds for image in images}
        return frozenset(self.images.keys() - here - self.uploads.keys())

    @property
    def liked(self) -> tuple[str, ...]:
        """Images that steer: more raters like than dislike them; in the order in which they were first marked."""
        return self._signed(1)

    @property
    def disliked(self) -> tuple[str, ...]:
        """Images that steer: more raters dislike than like them; in the order in which they were first marked."""
        return self._signed(-1)

    def rounds_of(self, references: Sequence[str]) -> list[int]:
        """The round that each reference is of; uploads are as new as the newest of the others.

        Args:
            references: ids of all that are used together.
        """
        newest = max((self.images[image].round for image in references if image in self.images), default=0)
        return [self.images[image].round if image in self.images else newest for image in references]

    def _signed(self, sign: int) -> tuple[str, ...]:
        votes: dict[str, int] = defaultdict(int)
        for marks in self.marks.values():
            for image, mark in marks.items():
                votes[image] += 1 if mark == "liked" else -1
        return tuple(image for image, count in votes.items() if count * sign > 0 and image not in self.aside)


def fold(shown: Iterable[ShownImage], records: Iterable[Record]) -> State:
    """The state after all that was shown and done.

    Args:
        shown: in any order.
        records: in the order in which they were appended; of several of one id the first counts.
    """
    made = rounds_of(shown)
    by_id: dict[str, Record] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    once = list(by_id.values())
    standing = standing_of(once)
    lines = lines_of(made, [record for record in once if isinstance(record, Branch)], {each.id for each in standing})
    line = FIRST
    marks: dict[str, dict[str, Sign]] = defaultdict(dict)
    ratings: dict[str, dict[str, int]] = defaultdict(dict)
    rich: dict[str, dict[str, RichRating]] = defaultdict(dict)
    choices: list[Choice] = []
    favourites: dict[str, None] = {}
    uploads: dict[str, str] = {}
    frozen: dict[str, float] = {}
    prompt: Prompt | None = None
    wish: MoreLike | Variations | None = None
    making: Making | None = None
    for record in standing:
        match record:
            case Mark(sign=None) as mark:
                marks[mark.rater].pop(mark.image, None)
            case Mark(sign=sign) as mark if sign is not None:
                marks[mark.rater][mark.image] = sign
            case Upload() as upload:
                marks[upload.rater][upload.image] = upload.sign
                uploads[upload.image] = upload.name
            case Rating() as rating:
                ratings[rating.rater][rating.image] = rating.value
            case RichFeedback() as feedback:
                rich[feedback.rater][feedback.image] = feedback.rich
            case Choice() as choice:
                choices.append(choice)
            case Favourite() as favourite:
                favourites.pop(favourite.image, None)
                if favourite.kept:
                    favourites[favourite.image] = None
            case Freeze() as freeze:
                frozen.pop(freeze.knob, None)
                if freeze.value is not None:
                    frozen[freeze.knob] = freeze.value
            case Prompt():
                prompt = record
            case MoreLike() | Variations():
                wish = record
            case Making():
                making = record
            case Branch() | Resume() if record.line in lines:
                line = record.line
    followed = {image.wish for images in made for image in images}
    return State(
        made,
        {each.id: each for each in lines.values() if each.own or each.id == line},
        line,
        None if prompt is None else prompt.prompt,
        "" if prompt is None else prompt.negative_prompt,
        dict(marks),
        dict(ratings),
        tuple(_latest_of_each_round(choices)),
        dict(rich),
        tuple(favourites),
        uploads,
        frozen,
        None if wish is None or wish.id in followed else wish,
        making,
        {record.rater: record for record in standing},
        redoable_of(once),
    )


def _latest_of_each_round(choices: Iterable[Choice]) -> list[Choice]:
    """Somebody who picks again among the same images has changed her mind."""
    return list({(choice.rater, frozenset(choice.options)): choice for choice in choices}.values())
