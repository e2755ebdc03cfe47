"""What was said in a session, as the optimiser's model reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from experiments.studio.agent.features import Given, features
from experiments.studio.history.state import Shown, State
from fabric.params import FabricParams
from objectives.human import MeanRating, mean_ratings
from optimizer.choices import PreferenceData

Expected = Callable[[Sequence[FabricParams], Given], Tensor]
"""Utilities, B, that are expected of settings with given references before anything is said."""


def given_of(state: State, number: int, liked: Sequence[str], disliked: Sequence[str]) -> Given:
    """References of a round with their ages, as the generator has them."""
    rounds = state.rounds_of((*liked, *disliked))
    aged = [(image, max(0, number - 1 - each)) for image, each in zip((*liked, *disliked), rounds, strict=True)]
    return Given(tuple(aged[: len(liked)]), tuple(aged[len(liked) :]))


def parts_of(state: State) -> tuple[str, ...]:
    """References, past and present, whose parts are features."""
    past = chain.from_iterable((*each.liked, *each.disliked) for each in state.images.values())
    return tuple(dict.fromkeys(chain(past, state.liked, state.disliked)))


def opinions_of(state: State, expected: Expected) -> PreferenceData | None:
    """Picks, likes, dislikes and ratings; None where they say nothing about settings.

    A liked image is chosen over those of its round that are unmarked or disliked, an unmarked one over those that are
    disliked. A pick says what the like of the same image would. Images without references were all made alike.

    Args:
        state: of the session.
        expected: of settings, before anything is said.
    """
    shown = state.images
    choices = [rows for rows in _choices(state) if any(shown[image].liked or shown[image].disliked for image in rows)]
    ratings = {image: said for image, said in _ratings(state).items() if image in shown}
    named = set(chain.from_iterable(choices)) | set(ratings)
    images = sorted((shown[image] for image in named), key=lambda each: each.trial)
    if not any(each.liked or each.disliked for each in images):
        return None
    given = [given_of(state, each.round, each.liked, each.disliked) for each in images]
    parts = parts_of(state)
    rows = {each.id: row for row, each in enumerate(images)}
    pairs = list(zip(images, given, strict=True))
    return PreferenceData(
        torch.cat([features([each.params], references, parts) for each, references in pairs]),
        [each.round for each in images],
        [[rows[image] for image in choice] for choice in choices],
        [(rows[image], said.mean, said.standard_error) for image, said in ratings.items()],
        [each.trial for each in images],
        torch.cat([expected([each.params], references) for each, references in pairs]),
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
        for images in state.rounds:
            yield from _marked(images, rater, marks, picked)


def _marked(
    images: Sequence[Shown], rater: str, marks: Mapping[str, str], picked: set[tuple[str, str]]
) -> Iterator[list[str]]:
    """What marks of one round say."""
    by_sign: dict[str | None, list[str]] = {"liked": [], None: [], "disliked": []}
    for each in images:
        by_sign[marks.get(each.id)].append(each.id)
    if len(by_sign[None]) == len(images):
        return
    worse = by_sign[None] + by_sign["disliked"]
    yield from ([image, *worse] for image in by_sign["liked"] if worse and (rater, image) not in picked)
    yield from ([image, *by_sign["disliked"]] for image in by_sign[None] if by_sign["disliked"])


def _ratings(state: State) -> dict[str, MeanRating]:
    """Means over raters with their standard errors; who rated richly only said so by the overall score."""
    by_image: dict[str, list[int]] = defaultdict(list)
    for said in state.ratings.values():
        for image, value in said.items():
            by_image[image].append(value)
    for rater, richly in state.rich.items():
        for image, rich in richly.items():
            if image not in state.ratings.get(rater, {}):
                by_image[image].append(rich.overall)
    return mean_ratings(by_image)
