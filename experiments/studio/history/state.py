"""The state of a session: a pure fold over what was shown (trials) and what was done (records).

The fold depends on the order of records alone, counts a record once however often it was sent, and forgets what was
withdrawn; so whoever reads the study sees the same, in any process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from experiments.studio.history.records import (
    Choice,
    Favourite,
    Freeze,
    Mark,
    MoreLike,
    Prompt,
    Rating,
    Record,
    RichFeedback,
    Sign,
    Upload,
    Withdrawal,
)
from fabric.params import FabricParams
from objectives.richhf import RichRating


@dataclass(frozen=True)
class ShownImage:
    """An image that was shown: one trial.

    Attributes:
        id: of the image, by its content.
        trial: its number.
        values: the trial's parameters.
        round: 0 for the first.
        place: in the round.
        seed: of its generation.
        prompt: that was asked for.
        negative_prompt: likewise.
        params: it was made with.
        liked: ids of its references.
        disliked: likewise.
        more_like: id of the `MoreLike` that its round followed, if any.
        attention: share of the self-attention that each reference received, by id, a mean over the steps; empty for
            images of before it was kept.
        count: images of its round, which is only there with all of them; 0 where that was not kept.
    """

    id: str
    trial: int
    values: dict[str, float]
    round: int
    place: int
    seed: int
    prompt: str
    negative_prompt: str
    params: FabricParams
    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    more_like: str | None = None
    attention: Mapping[str, float] = field(default_factory=dict)
    count: int = 0

    def to_attributes(self) -> dict[str, Any]:
        """User attributes of its trial; `of` reads them."""
        return {
            "image": self.id,
            "round": self.round,
            "place": self.place,
            "seed": self.seed,
            "prompt": self.prompt,
            "negative prompt": self.negative_prompt,
            "params": self.params.to_dict(),
            "liked": list(self.liked),
            "disliked": list(self.disliked),
            "asked": self.more_like,
            "attention": dict(self.attention),
            "count": self.count,
        }

    @classmethod
    def of(cls, number: int, values: dict[str, Any], attributes: dict[str, Any]) -> ShownImage:
        """What a trial of these values and user attributes showed."""
        return cls(
            attributes["image"],
            number,
            dict(values),
            attributes["round"],
            attributes["place"],
            attributes["seed"],
            attributes["prompt"],
            attributes["negative prompt"],
            FabricParams.from_dict(attributes["params"]),
            tuple(attributes["liked"]),
            tuple(attributes["disliked"]),
            attributes["asked"],
            attributes.get("attention", {}),
            attributes.get("count", 0),
        )


@dataclass(frozen=True)
class State:
    """What a session is at one moment.

    Attributes:
        rounds: images by round, in their places; a picture that came out twice in a round is there once.
        prompt: of the next round; None before the first.
        negative_prompt: likewise.
        marks: by rater, by image.
        ratings: by rater, by image, 1 to 5.
        choices: that stand, "can't tell" among them.
        rich: by rater, by image.
        favourites: kept images, in the order in which they were.
        uploads: names of uploaded pictures, by id.
        frozen: values of knobs that the agent leaves alone.
        more_like: what the next round follows, if anything.
        undoable: by rater the record that undo would take back.
        redoable: by rater the record that was taken back the latest, if nothing else was done since.
    """

    rounds: tuple[tuple[ShownImage, ...], ...] = ()
    prompt: str | None = None
    negative_prompt: str = ""
    marks: dict[str, dict[str, Sign]] = field(default_factory=dict)
    ratings: dict[str, dict[str, int]] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    rich: dict[str, dict[str, RichRating]] = field(default_factory=dict)
    favourites: tuple[str, ...] = ()
    uploads: dict[str, str] = field(default_factory=dict)
    frozen: dict[str, float] = field(default_factory=dict)
    more_like: MoreLike | None = None
    undoable: dict[str, Record] = field(default_factory=dict)
    redoable: dict[str, Record] = field(default_factory=dict)

    @cached_property
    def images(self) -> dict[str, ShownImage]:
        """What was shown, by id; of a picture that came out in several rounds the first."""
        found: dict[str, ShownImage] = {}
        for images in self.rounds:
            for image in images:
                found.setdefault(image.id, image)
        return found

    @property
    def liked(self) -> tuple[str, ...]:
        """Images that more raters like than dislike, in the order in which they were first marked."""
        return self._signed(1)

    @property
    def disliked(self) -> tuple[str, ...]:
        """Images that more raters dislike than like, in the order in which they were first marked."""
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
        return tuple(image for image, count in votes.items() if count * sign > 0)


def fold(shown: Iterable[ShownImage], records: Iterable[Record]) -> State:
    """The state after all that was shown and done.

    Args:
        shown: in any order.
        records: in the order in which they were appended; of several of one id the first counts.
    """
    rounds = _rounds(shown)
    once: dict[str, Record] = {}
    for record in records:
        once.setdefault(record.id, record)
    standing = standing_of(list(once.values()))
    marks: dict[str, dict[str, Sign]] = defaultdict(dict)
    ratings: dict[str, dict[str, int]] = defaultdict(dict)
    rich: dict[str, dict[str, RichRating]] = defaultdict(dict)
    choices: list[Choice] = []
    favourites: dict[str, None] = {}
    uploads: dict[str, str] = {}
    frozen: dict[str, float] = {}
    prompt: Prompt | None = None
    more_like: MoreLike | None = None
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
            case MoreLike():
                more_like = record
    followed = {image.more_like for images in rounds for image in images}
    return State(
        rounds,
        None if prompt is None else prompt.prompt,
        "" if prompt is None else prompt.negative_prompt,
        dict(marks),
        dict(ratings),
        tuple(_latest_of_each_round(choices)),
        dict(rich),
        tuple(favourites),
        uploads,
        frozen,
        None if more_like is None or more_like.id in followed else more_like,
        {record.rater: record for record in standing},
        _redoable(list(once.values())),
    )


def standing_of(records: Sequence[Record]) -> list[Record]:
    """Records that their own rater did not withdraw; withdrawals are not among them."""
    withdrawn = {(record.rater, record.record) for record in records if isinstance(record, Withdrawal)}
    kept = (record for record in records if not isinstance(record, Withdrawal))
    return [record for record in kept if (record.rater, record.id) not in withdrawn]


def _redoable(records: Sequence[Record]) -> dict[str, Record]:
    """By rater what undo took back the latest. Doing it once more makes way for what was taken back before it."""
    known = {(record.rater, record.id): record for record in records}
    taken: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        mine = taken[record.rater]
        if isinstance(record, Withdrawal):
            if (target := known.get((record.rater, record.record))) is not None:
                mine.append(target)
        elif mine and mine[-1] == record.model_copy(update={"id": mine[-1].id, "time": mine[-1].time}):
            mine.pop()
        else:
            mine.clear()
    return {rater: mine[-1] for rater, mine in taken.items() if mine}


def _rounds(shown: Iterable[ShownImage]) -> tuple[tuple[ShownImage, ...], ...]:
    """Whole rounds; of one that was broken off and generated again the later images count."""
    rounds: dict[int, dict[int, ShownImage]] = defaultdict(dict)
    for image in sorted(shown, key=lambda image: image.trial):
        rounds[image.round][image.place] = image
    found = []
    for _, places in sorted(rounds.items()):
        images: dict[str, ShownImage] = {}
        for _, image in sorted(places.items()):
            images.setdefault(image.id, image)
        if all(len(places) >= image.count for image in images.values()):
            found.append(tuple(images.values()))
    return tuple(found)


def _latest_of_each_round(choices: Iterable[Choice]) -> list[Choice]:
    """Somebody who picks again among the same images has changed her mind."""
    return list({(choice.rater, frozenset(choice.options)): choice for choice in choices}.values())
