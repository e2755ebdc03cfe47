"""A feedback session: rounds of images, of which some are liked or disliked and steer the rounds after.

The paper's protocol (von Rütte et al. 2023, arXiv 2307.10159, section 4) is a session whose chooser likes the image of
the highest and dislikes that of the lowest score of every round; see `best_and_worst`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, read_picture, to_pictures
from fabric.params import FabricParams
from fabric.seeding import generator_for


@dataclass(frozen=True)
class Choice:
    """Which images of a round are liked and disliked, by their places in the round."""

    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()


Chooser = Callable[[list[Image.Image]], Choice]


def best_and_worst(score: Callable[[list[Image.Image]], Sequence[float]]) -> Chooser:
    """Likes the image of the highest score and dislikes that of the lowest, as in the paper."""

    def choose(pictures: list[Image.Image]) -> Choice:
        scores = list(score(pictures))
        return Choice((scores.index(max(scores)),), (scores.index(min(scores)),))

    return choose


@dataclass
class Round:
    """Images of one round, the prompts they were made with, and what was chosen."""

    pictures: list[Image.Image]
    prompts: list[str]
    params: list[FabricParams]
    choice: Choice = field(default_factory=Choice)


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
        liked = (FeedbackImage(one.pictures[place], k) for k, one in earlier for place in one.choice.liked)
        disliked = (FeedbackImage(one.pictures[place], k) for k, one in earlier for place in one.choice.disliked)
        return (*self.given[0], *liked), (*self.given[1], *disliked)

    def seeds(self, number: int, count: int) -> list[int]:
        """Seeds of the first `count` images of a round."""
        return [generator_for("session", self.seed, number, k).initial_seed() for k in range(count)]

    def requests(self, params: Sequence[FabricParams]) -> list[Request]:
        """What the next round asks for, one image for each element of `params`."""
        liked, disliked = self.liked, self.disliked
        return [
            Request(self.prompt, seed, each, liked, disliked, self.negative_prompt)
            for seed, each in zip(self.seeds(len(self.rounds), len(params)), params, strict=True)
        ]

    def generate(self, fabric: FabricGenerator, params: Sequence[FabricParams]) -> Round:
        """Generates the next round; `choose` says afterwards what is liked."""
        made = fabric(self.requests(params), self.steps, self.size)
        return self.record(to_pictures(made.images), made.prompts, params)

    def record(self, pictures: Sequence[Image.Image], prompts: Sequence[str], params: Sequence[FabricParams]) -> Round:
        """Adds a round that was generated from `requests` elsewhere, together with other sessions' for example."""
        self.rounds.append(Round(list(pictures), list(prompts), list(params)))
        return self.rounds[-1]

    def choose(self, choice: Choice, number: int = -1) -> None:
        """Sets what is liked and disliked in a round, by default the last; earlier choices of that round are replaced.

        Raises:
            ValueError: a place is not in the round.
        """
        one = self.rounds[number]
        for place in (*choice.liked, *choice.disliked):
            if not 0 <= place < len(one.pictures):
                raise ValueError(f"choice: there is no image {place}; allowed: 0 to {len(one.pictures) - 1}")
        one.choice = choice

    def run(self, fabric: FabricGenerator, params: Sequence[FabricParams], rounds: int, chooser: Chooser) -> None:
        """Generates rounds until there are `rounds`, and lets `chooser` choose after each."""
        while len(self.rounds) < rounds:
            self.choose(chooser(self.generate(fabric, params).pictures))

    def save(self, folder: Path) -> None:
        """Writes everything that `load` needs to go on; the file that names the images is written last."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "seed": self.seed,
            "steps": self.steps,
            "size": self.size,
            "given": [[_given(folder, image) for image in images] for images in self.given],
            "rounds": [
                {
                    "pictures": [_write(folder, picture) for picture in one.pictures],
                    "prompts": one.prompts,
                    "params": [params.to_dict() for params in one.params],
                    "liked": one.choice.liked,
                    "disliked": one.choice.disliked,
                }
                for one in self.rounds
            ],
        }
        unfinished = folder / "session.tmp"
        unfinished.write_text(json.dumps(state, indent=1))
        unfinished.replace(folder / "session.json")

    @classmethod
    def load(cls, folder: Path) -> Session:
        """Reads a session that `save` wrote.

        Raises:
            ValueError: there is none in the folder, or one of its images is missing.
        """
        path = folder / "session.json"
        if not path.exists():
            raise ValueError(f"session: {folder} holds none (no session.json)")
        state: dict[str, Any] = json.loads(path.read_text())
        liked, disliked = ([_read_given(folder, one) for one in images] for images in state["given"])
        size = tuple(state["size"]) if state["size"] else None
        negative = state["negative_prompt"]
        session = cls(state["prompt"], state["seed"], state["steps"], size, liked, disliked, negative)
        session.rounds = [
            Round(
                [read_picture(folder / name) for name in one["pictures"]],
                one["prompts"],
                [FabricParams.from_dict(params) for params in one["params"]],
                Choice(tuple(one["liked"]), tuple(one["disliked"])),
            )
            for one in state["rounds"]
        ]
        return session


def _given(folder: Path, image: FeedbackImage) -> dict[str, Any]:
    mask = None if image.mask is None else image.mask.tolist()
    return {"picture": _write(folder, image.picture), "round": image.round, "mask": mask}


def _read_given(folder: Path, state: dict[str, Any]) -> FeedbackImage:
    mask = None if state["mask"] is None else torch.tensor(state["mask"])
    return FeedbackImage(read_picture(folder / state["picture"]), state["round"], mask)


def _write(folder: Path, picture: Image.Image) -> str:
    """Writes a picture under a name by its content, if it is not there yet."""
    name = f"{FeedbackImage(picture).id}.png"
    if not (folder / name).exists():
        unfinished = folder / f"{name}.tmp"
        picture.save(unfinished, format="PNG")
        unfinished.replace(folder / name)
    return name
