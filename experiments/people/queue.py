"""What a person rates next: images that still lack ratings, in random order, and now and then one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from experiments.people.ratings import Item, StudyRatings
from fabric.seeding import generator_for

_BEFORE_REPEATS = 5  # images that a person must have rated
_NOT_AGAIN = 4  # last images, which he remembers


@dataclass(frozen=True)
class Turn:
    """Whose turn it is to rate what.

    Attributes:
        item: to rate; None while there is nothing for this person to do.
        given: ratings that this person has given.
        left: images that lack ratings and that he has not rated.
    """

    item: Item | None
    given: int
    left: int


def next_turn(ratings: StudyRatings, rater: str, repeats: float) -> Turn:
    """What a person is to rate; the same until he has rated it.

    Nothing tells which trial made an image, and the order is random, so nobody can favour a setting.

    Args:
        ratings: of the run.
        rater: who.
        repeats: share of images that are shown again, to see how steady he is.
    """
    own = [rating.item for rating in ratings.ratings if rating.rater == rater]
    raters = ratings.raters_of()
    lacking = [item for item in ratings.items if rater not in raters[item.id] and len(raters[item.id]) < ratings.needed]
    if not lacking:
        return Turn(None, len(own), 0)
    generator = generator_for("turn", rater, len(own))
    again = _rated_once(own)
    if again and float(torch.rand((), generator=generator)) < repeats:
        known = {item.id: item for item in ratings.items}
        place = int(torch.randint(len(again), (), generator=generator))
        return Turn(known[again[place]], len(own), len(lacking))
    # By a random number of each, so that what comes in meanwhile changes the order of the rest, not of this.
    chosen = min(lacking, key=lambda item: generator_for("order", rater, item.id).initial_seed())
    return Turn(chosen, len(own), len(lacking))


def _rated_once(own: Sequence[str]) -> list[str]:
    """Items that a person has rated once, some time ago."""
    if len(own) < _BEFORE_REPEATS:
        return []
    return sorted({item for item in own[:-_NOT_AGAIN] if own.count(item) == 1})
