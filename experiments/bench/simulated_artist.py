"""A simulated artist: has a hidden target in mind, and likes and picks what comes closest, with some wrong clicks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from experiments.studio.history.records import Choice, Mark, Prompt
from experiments.studio.session import StudioSession
from fabric.images import FeedbackImage
from fabric.seeding import generator_for

RATER = "artist"

Eye = Callable[[Tensor], Tensor]
"""From B x 3 x H x W pictures in [-1, 1] to B closenesses to what the artist has in mind; higher is closer."""


@dataclass(frozen=True)
class Clicks:
    """What the artist does in one round, by places.

    Attributes:
        picked: picked as the best, and liked.
        disliked: or None.
    """

    picked: int
    disliked: int | None


@dataclass(frozen=True)
class Artist:
    """Judges rounds by an eye; each click goes wrong now and then.

    Attributes:
        prompt: what is asked for; leaves much of the target unsaid.
        eye: sees closeness to the target.
        seed: of the wrong clicks.
        wrong: share of clicks that hit any image.
        dislikes: whether the farthest is disliked.
    """

    prompt: str
    eye: Eye
    seed: int = 0
    wrong: float = 0.1
    dislikes: bool = True

    def judge(self, pictures: Sequence[Image], number: int) -> Clicks:
        """The clicks of a round.

        Args:
            pictures: of the round.
            number: of the round, which with the seed decides what goes wrong.
        """
        closeness = self.eye(pixels(pictures))
        generator = generator_for("clicks", self.seed, number)
        picked = self._click(int(closeness.argmax()), len(pictures), generator)
        disliked = self._click(int(closeness.argmin()), len(pictures), generator)
        return Clicks(picked, disliked if self.dislikes and disliked != picked else None)

    def _click(self, meant: int, count: int, generator: torch.Generator) -> int:
        slip, anywhere = torch.rand(1, generator=generator), torch.randint(count, (1,), generator=generator)
        return int(anywhere) if slip < self.wrong else meant


def pixels(pictures: Sequence[Image]) -> Tensor:
    """Pictures of one size, B x 3 x H x W in [-1, 1]."""
    return torch.stack([FeedbackImage(picture).pixels(picture.height, picture.width) for picture in pictures])


def steer(session: StudioSession, artist: Artist, rounds: int) -> None:
    """Lets the artist go on with a session until so many rounds are generated and judged.

    Args:
        session: new, or as it was left.
        artist: who judges.
        rounds: in all.
    """
    if session.state.prompt is None:
        session.append(Prompt(rater=RATER, prompt=artist.prompt))
    while True:
        state = session.state
        if state.rounds and len(state.choices) < len(state.rounds):
            _judge(session, artist, len(state.choices))
        elif len(state.rounds) < rounds:
            session.generate()
        else:
            return


def _judge(session: StudioSession, artist: Artist, number: int) -> None:
    """The pick comes last: a round with one is judged. Records have ids of their own, so that none counts twice."""
    images = [shown.id for shown in session.state.rounds[number]]
    clicks = artist.judge([session.pictures.read(image) for image in images], number)
    session.append(Mark(rater=RATER, image=images[clicks.picked], sign="liked", id=f"liked {number}"))
    if clicks.disliked is not None:
        session.append(Mark(rater=RATER, image=images[clicks.disliked], sign="disliked", id=f"disliked {number}"))
    session.append(Choice(rater=RATER, options=tuple(images), chosen=images[clicks.picked], id=f"pick {number}"))
