"""What an objective is: one float per image, from the image and what it is scored against.

Notation, in all modules of this package:
    N: images of a batch, D: width of an embedding, K: images that one is compared with.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PIL.Image import Image

Need: TypeAlias = Literal["prompt", "target", "liked", "disliked", "baseline"]
NEEDS: tuple[Need, ...] = ("prompt", "target", "liked", "disliked", "baseline")
UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Context:
    """What one image is scored against; an objective says in `needs` which of it must be there.

    Attributes:
        prompt: that the image was asked for with, before any dropout.
        targets: images to come close to.
        liked: feedback images.
        disliked: feedback images.
        baseline: the image of the same prompt and seed without feedback.
        group: images generated together (one prompt, one round) have equal ones; objectives of whole batches keep to
            them.
    """

    prompt: str | None = None
    targets: tuple[Image, ...] = ()
    liked: tuple[Image, ...] = ()
    disliked: tuple[Image, ...] = ()
    baseline: Image | None = None
    group: Hashable = None

    def missing(self, needs: frozenset[Need]) -> tuple[Need, ...]:
        """What of `needs` is not there."""
        there = {
            "prompt": self.prompt is not None,
            "target": bool(self.targets),
            "liked": bool(self.liked),
            "disliked": bool(self.disliked),
            "baseline": self.baseline is not None,
        }
        return tuple(need for need in NEEDS if need in needs and not there[need])


class ObjectiveError(RuntimeError):
    """An objective failed for some images.

    Attributes:
        scores: of all images, NaN for the failed ones.
        failures: what went wrong, by place in the batch.
    """

    def __init__(self, name: str, scores: list[float], failures: dict[int, str]) -> None:
        place, reason = next(iter(failures.items()))
        others = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        super().__init__(f"objective {name}: image {place}{others}: {reason}")
        self.scores = scores
        self.failures = failures


class UnratedError(ObjectiveError):
    """Images cannot be scored before people have rated them.

    Attributes:
        items: names under which people are asked for ratings.
    """

    def __init__(self, name: str, items: tuple[str, ...]) -> None:
        super().__init__(name, [], {0: f"{len(items)} images are not rated yet"})
        self.items = items


class Objective(ABC):
    """Scores images. Objectives are plain callables with a few facts about them; see `objectives.testing`.

    Attributes:
        name: unique among the objectives of a run.
        higher_is_better: whether the larger of two scores is the better one; the program turns the others round.
        bounds: least and greatest possible score; infinite where there is none.
        needs: which parts of a `Context` must be there.
        of_batch: whether a score depends on the other images of its group, as diversity does. The score of an image
            is otherwise its own, however a batch is split or ordered.
        asks_people: whether people have to rate an image before it has a score; until then `UnratedError` is raised.
    """

    name: str
    higher_is_better: bool = True
    bounds: tuple[float, float] = UNBOUNDED
    needs: frozenset[Need] = frozenset()
    of_batch: bool = False
    asks_people: bool = False

    def prepare(self) -> None:  # noqa: B027 - most have nothing to read
        """Reads what scoring needs, such as a model, so that what is missing is known before anything is generated.

        Raises:
            ValueError: something is missing; the message says what, and how to get it.
        """

    @abstractmethod
    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images.

        Args:
            images: N images of any size and mode; not to be changed.
            contexts: one for each image.

        Returns:
            N finite scores.
        """


def score_groups(
    images: Sequence[Image], contexts: Sequence[Context], score: Callable[[list[Image]], float]
) -> list[float]:
    """Scores whole groups, for objectives of batches; every image has its group's score.

    Args:
        images: N images.
        contexts: one for each; images of one prompt and group belong together.
        score: of the images of a group.
    """
    groups = [(context.prompt, context.group) for context in contexts]
    values = {
        group: score([image for image, other in zip(images, groups, strict=True) if other == group])
        for group in dict.fromkeys(groups)
    }
    return [values[group] for group in groups]


def check_needs(objective: Objective, contexts: Sequence[Context]) -> None:
    """Checks that contexts have what an objective needs; to be called before anything is generated.

    Raises:
        ValueError: something is missing; the message names objective and need.
    """
    for context in contexts:
        if missing := context.missing(objective.needs):
            of = f" of {context.prompt!r}" if context.prompt else ""
            raise ValueError(f"objective: {objective.name} needs {' and '.join(missing)}, which the context{of} lacks")


def toward_higher(objective: Objective, scores: Sequence[float]) -> list[float]:
    """Scores of which higher is better: turned round where the objective counts the other way."""
    return [score if objective.higher_is_better else -score for score in scores]
