"""A feedback session: rounds of images, of which some are liked or disliked and steer the rounds after.

In the paper's protocol (von Rütte et al. 2023, arXiv 2307.10159, section 4) the image of the highest score of every
round is liked and that of the lowest disliked. A session keeps the rounds; others generate and choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image
from torch import Tensor

from fabric.generator import Request
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.seeding import generator_for


@dataclass(frozen=True)
class RoundChoice:
    """Which images of a round are liked and disliked, by their places in the round.

    Attributes:
        liked: places.
        disliked: likewise.
        marked: by place what is wrong with an image, h x w from 0 to 1: of a liked one it is masked, of a disliked one
            all else. Images without anything marked count whole.
        missed: words of the prompt that the round's images do not show; see `Request.missed`.
    """

    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()
    marked: Mapping[int, Tensor] = field(default_factory=dict)
    missed: frozenset[str] = frozenset()

    def mask(self, place: int) -> Tensor | None:
        """Mask of a liked or disliked image, or None."""
        marked = self.marked.get(place)
        return 1 - marked if marked is not None and place in self.liked else marked


@dataclass
class Round:
    """Images of one round, the prompts they were made with, and what was chosen."""

    pictures: list[Image.Image]
    prompts: list[str]
    params: list[FabricParams]
    choice: RoundChoice = field(default_factory=RoundChoice)


class Session:
    """Rounds of one prompt; liked and disliked images only ever grow.

    Args:
        prompt: may be changed between rounds.
        seed: of the session; image k of round r has a seed of its own.
        steps: denoising steps.
        size: height and width in pixels; the model's own by default.
        liked: images given from the start.
        disliked: likewise.
        negative_prompt: for the unconditional pass; may be changed between rounds.
    """

    def __init__(
        self,
        prompt: str,
        seed: int = 0,
        steps: int = 20,
        size: tuple[int, int] | None = None,
        liked: Sequence[FeedbackImage] = (),
        disliked: Sequence[FeedbackImage] = (),
        negative_prompt: str = "",
    ) -> None:
        self.prompt = prompt
        self.negative_prompt = negative_prompt
        self.seed = seed
        self.steps = steps
        self.size = size
        self.given = (tuple(liked), tuple(disliked))
        self.rounds: list[Round] = []

    @property
    def liked(self) -> tuple[FeedbackImage, ...]:
        """Given and chosen images, each with its round."""
        return self.feedback_before(len(self.rounds))[0]

    @property
    def disliked(self) -> tuple[FeedbackImage, ...]:
        """Given and chosen images, each with its round."""
        return self.feedback_before(len(self.rounds))[1]

    def feedback_before(self, number: int) -> tuple[tuple[FeedbackImage, ...], tuple[FeedbackImage, ...]]:
        """Liked and disliked images that a round was, or is to be, generated with."""
        earlier = list(enumerate(self.rounds[:number]))
        liked, disliked = (
            [
                FeedbackImage(round_.pictures[place], k, round_.choice.mask(place))
                for k, round_ in earlier
                for place in getattr(round_.choice, sign)
            ]
            for sign in ("liked", "disliked")
        )
        return (*self.given[0], *liked), (*self.given[1], *disliked)

    def seeds(self, number: int, count: int) -> list[int]:
        """Seeds of the first `count` images of a round."""
        return [generator_for("session", self.seed, number, k).initial_seed() for k in range(count)]

    def requests(self, params: Sequence[FabricParams]) -> list[Request]:
        """What the next round asks for, one image for each element of `params`."""
        liked, disliked = self.liked, self.disliked
        missed = self.rounds[-1].choice.missed if self.rounds else frozenset()
        return [
            Request(self.prompt, seed, setting, liked, disliked, self.negative_prompt, len(self.rounds), missed)
            for seed, setting in zip(self.seeds(len(self.rounds), len(params)), params, strict=True)
        ]

    def record(self, pictures: Sequence[Image.Image], prompts: Sequence[str], params: Sequence[FabricParams]) -> Round:
        """Adds a round that was generated from `requests` elsewhere, together with other sessions' for example."""
        self.rounds.append(Round(list(pictures), list(prompts), list(params)))
        return self.rounds[-1]

    def choose(self, choice: RoundChoice, number: int = -1) -> None:
        """Sets what is liked and disliked in a round, by default the last; earlier choices of that round are replaced.

        Raises:
            ValueError: a place is not in the round.
        """
        round_ = self.rounds[number]
        for place in (*choice.liked, *choice.disliked):
            if not 0 <= place < len(round_.pictures):
                raise ValueError(f"choice: there is no image {place}; allowed: 0 to {len(round_.pictures) - 1}")
        round_.choice = choice
