"""What was said in a session, on all its lines, as the optimiser's model reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from experiments.studio.agent.features import AgedReferences, features
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State
from fabric.params import FabricParams
from objectives.human import MeanRating, mean_ratings
from optimizer.choices import PreferenceData

Expected = Callable[[Sequence[FabricParams], AgedReferences], Tensor]
"""Utilities, B, that are expected of settings with given references before anything is said."""


def aged_references(state: State, number: int, liked: Sequence[str], disliked: Sequence[str]) -> AgedReferences:
    """References of a round with their ages, as the generator has them."""
    rounds = state.rounds_of((*liked, *disliked))
    aged = [(image, max(0, number - 1 - round_)) for image, round_ in zip((*liked, *disliked), rounds, strict=True)]
    return AgedReferences(tuple(aged[: len(liked)]), tuple(aged[len(liked) :]))


def all_references(state: State) -> tuple[str, ...]:
    """References, past and present, whose parts are features."""
    past = chain.from_iterable((*image.liked, *image.disliked) for image in state.images.values())
    return tuple(dict.fromkeys(chain(past, state.liked, state.disliked)))


def preference_data(state: State, expected: Expected) -> PreferenceData | None:
    """Picks, likes, dislikes and ratings; None where they say nothing about settings.

    A liked image is chosen over those of its round that are unmarked or disliked, a disliked one is the worst of those
    that are unmarked and itself. A pick says what the like of the same image would. Images without references were all
    made alike.

    Args:
        state: of the session.
        expected: of settings, before anything is said.
    """
    shown = state.images
    choices, rejections = (
        [ids for ids in said if any(shown[image].liked or shown[image].disliked for image in ids)]
        for said in (_choices(state), _rejections(state))
    )
    ratings = {image: rating for image, rating in _ratings(state).items() if image in shown}
    named = set(chain.from_iterable([*choices, *rejections])) | set(ratings)
    images = sorted((shown[image] for image in named), key=lambda image: image.trial)
    if not any(image.liked or image.disliked for image in images):
        return None
    with_references = [
        (image, aged_references(state, image.ages_from, image.liked, image.disliked)) for image in images
    ]
    parts = all_references(state)
    rows = {image.id: row for row, image in enumerate(images)}
    looks = {(each[0].line, each[0].round): number for number, each in enumerate(state.made)}
    return PreferenceData(
        torch.cat([features([image.params], references, parts) for image, references in with_references]),
        [looks[image.line, image.round] for image in images],
        [[rows[image] for image in choice] for choice in choices],
        [(rows[image], rating.mean, rating.standard_error) for image, rating in ratings.items()],
        [image.trial for image in images],
        torch.cat([expected([image.params], references) for image, references in with_references]),
        [[rows[image] for image in rejection] for rejection in rejections],
    )


def _choices(state: State) -> Iterator[list[str]]:
    """Images of each choice, the chosen one first."""
    shown = state.images
    picked: set[tuple[str, str]] = set()
    for choice in state.choices:
        if choice.chosen is not None and shown.keys() >= set(choice.options):
            picked.add((choice.rater, choice.chosen))
            yield [choice.chosen, *(image for image in choice.options if image != choice.chosen)]
    for rater, marks in state.marks.items():
        for images in state.made:
            by_mark = _by_mark(images, marks)
            worse = by_mark[None] + by_mark["disliked"]
            yield from ([liked, *worse] for liked in by_mark["liked"] if worse and (rater, liked) not in picked)


def _rejections(state: State) -> Iterator[list[str]]:
    """Images of each choice of the worst, the rejected one first."""
    for marks in state.marks.values():
        for images in state.made:
            by_mark = _by_mark(images, marks)
            yield from ([disliked, *by_mark[None]] for disliked in by_mark["disliked"] if by_mark[None])


def _by_mark(images: Sequence[ShownImage], marks: Mapping[str, str]) -> dict[str | None, list[str]]:
    """Images of a round by what somebody said of them, None for nothing."""
    by_mark: dict[str | None, list[str]] = {"liked": [], None: [], "disliked": []}
    for image in images:
        by_mark[marks.get(image.id)].append(image.id)
    return by_mark


def _ratings(state: State) -> dict[str, MeanRating]:
    """Means over raters with their standard errors; who rated richly only said so by the overall score."""
    by_image: dict[str, list[int]] = defaultdict(list)
    for ratings in state.ratings.values():
        for image, value in ratings.items():
            by_image[image].append(value)
    for rater, rich_ratings in state.rich.items():
        for image, rich in rich_ratings.items():
            if image not in state.ratings.get(rater, {}):
                by_image[image].append(rich.overall)
    return mean_ratings(by_image)
