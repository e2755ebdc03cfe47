"""What a setting is tried on, and how: tasks, the protocol, and what a task's images are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from fabric.images import FeedbackImage
from fabric.params import FabricParams
from objectives.base import Objective, toward_higher
from objectives.rahf.predictor import RahfPredictor

Value = Literal["last", "best", "all"]
Signs = Literal["both", "liked", "disliked"]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """One prompt to steer.

    Attributes:
        prompt: what is asked for.
        targets: what is hoped for, where the objective needs it; never shown to the generator.
        liked: feedback given from the start.
        disliked: likewise.
        negative_prompt: for the unconditional pass.
        library: pictures that are liked from the start too, the nearest to the prompt first; see
            `experiments.run.library`.
        replication: 0, and 1, 2, ... to try it again with other seeds.
    """

    prompt: str
    targets: tuple[Image, ...] = ()
    liked: tuple[FeedbackImage, ...] = ()
    disliked: tuple[FeedbackImage, ...] = ()
    negative_prompt: str = ""
    library: tuple[FeedbackImage, ...] = ()
    replication: int = 0


@dataclass(frozen=True)
class Filter:
    """Which images may be liked: those of a score, whatever else speaks for them.

    Attributes:
        objective: that scores.
        at_least: least score, as the objective counts; greatest where lower is better.
    """

    objective: Objective
    at_least: float

    def passes(self, scores: Scores) -> NDArray[np.bool_]:
        """Which of some scores, turned so that higher is better, pass."""
        (bound,) = toward_higher(self.objective, [self.at_least])
        return np.asarray(scores >= bound)


@dataclass(frozen=True)
class BestOf:
    """Every image of a round is the best of several that differ by their seed.

    Attributes:
        count: N of them, 2 or more.
        objective: that says which is best.
    """

    count: int
    objective: Objective


@dataclass(frozen=True)
class Protocol:
    """How a setting is tried on a task (von Rütte et al. 2023, arXiv 2307.10159, section 4: 3 rounds of 4 images).

    Attributes:
        rounds: R. A first round without any feedback is plain Stable Diffusion at `guidance`: there is nothing yet
            that a setting could do, so it is the same for all settings and generated once.
        images: n of a round.
        steps: denoising steps.
        size: height and width in pixels; the model's own by default.
        seed: of everything; every setting has the same seeds.
        batch: images generated at once.
        value: what a task is worth: the mean of the last round, the best image, or the mean of all.
        guidance: of plain images, which settings are compared with.
        feedback: what of a round steers those after it: its best image is liked, its worst disliked, or both.
        like_only: what an image must be to be liked; a round without any such likes none.
        rahf: says what is wrong with liked and disliked images, which is masked, and which words of the prompt a round
            does not show; see `FabricParams.masking` and `emphasis`. Nobody does by default.
        best_of: how the images of a round are picked out of more; there are no more by default.
        dropout_first: whether words of the prompt are dropped in a first round without feedback too, as the paper does;
            else that round is the same for all settings.
    """

    rounds: int = 3
    images: int = 4
    steps: int = 20
    size: tuple[int, int] | None = None
    seed: int = 0
    batch: int = 16
    value: Value = "last"
    guidance: float = 7.0
    feedback: Signs = "both"
    like_only: Filter | None = None
    rahf: RahfPredictor | None = None
    best_of: BestOf | None = None
    dropout_first: bool = False

    @property
    def plain(self) -> FabricParams:
        """No feedback."""
        return FabricParams(strength=0, guidance_scale=self.guidance)


def task_value(scores: Scores, kind: Value) -> float:
    """One number of R x n scores; see `Protocol.value`."""
    return float({"last": scores[-1].mean, "best": scores.max, "all": scores.mean}[kind]())
