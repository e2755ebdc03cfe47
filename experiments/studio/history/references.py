"""The references of the next round: what is liked and disliked, limited to what was marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL.Image import Image
from torch import Tensor

from experiments.studio.history.shown import Round
from experiments.studio.history.state import State
from fabric.images import FeedbackImage
from objectives.richhf import heatmap, words_at

_RADIUS = 0.12  # of what a marked point stands for, as a fraction of the height
_MAP = 64  # height and width of a mask

References = tuple[FeedbackImage, ...]


def references(state: State, picture: Callable[[str], Image], *, masked: bool = True) -> tuple[References, References]:
    """Liked and disliked images of the next round; see `given`."""
    return given(state, state.liked, state.disliked, picture, masked=masked)


def given(
    state: State, liked: Sequence[str], disliked: Sequence[str], picture: Callable[[str], Image], *, masked: bool
) -> tuple[References, References]:
    """Liked and disliked images of a round.

    Where raters marked places of a disliked image only those repel; of a liked one they are left out.

    Args:
        state: of the session.
        liked: ids.
        disliked: likewise.
        picture: reads an image.
        masked: whether the model's family can tell places of a picture apart; else pictures count whole.
    """
    signed = (*liked, *disliked)
    rounds = dict(zip(signed, state.rounds_of(signed), strict=True))

    def reference(image: str, liked: bool) -> FeedbackImage:
        marked = _marked(state, image) if masked else None
        mask = marked if marked is None or not liked else 1 - marked
        return FeedbackImage(picture(image), rounds[image], mask)

    return tuple(reference(image, True) for image in liked), tuple(reference(image, False) for image in disliked)


def missed_words(state: State, before: Sequence[Round]) -> frozenset[str]:
    """Words of the prompt, as blanks part them, that somebody said an image of the round before does not show.

    Args:
        state: of the session.
        before: all rounds that went before.
    """
    found = set[str]()
    for image in before[-1] if before else ():
        for rating in (rated[image.id] for rated in state.rich.values() if image.id in rated):
            found |= words_at(rating.prompt, rating.misaligned_words)
    return frozenset(found)


def _marked(state: State, image: str) -> Tensor | None:
    """Places that raters marked on an image, or None."""
    ratings = [rated[image] for rated in state.rich.values() if image in rated]
    points: Sequence[tuple[float, float]] = [
        point for rating in ratings for point in (*rating.artifact_points, *rating.misalignment_points)
    ]
    return torch.from_numpy(heatmap(points, (_MAP, _MAP), _RADIUS)).float() if points else None
