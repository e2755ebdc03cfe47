"""What several raters come to together: some are stricter than others, and some careless.

A rating is taken to be `x = quality of the item + bias of the rater + noise of the rater`. Bias and noise are estimated
from all ratings and drawn towards those of the usual rater, so that a few ratings do not say much about who gave them.

Notation:
    N: ratings, R: raters, I: items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectives.human import STARS

_ROUNDS = 30
_PRIOR_BIAS = 8.0  # ratings of the usual rater that each one's bias begins with
_PRIOR_NOISE = 6.0  # likewise, of his variance
_USUAL = 0.5  # variance of ratings from 1 to 5 by people (standard deviation .7), until these people's own is known
_LEAST = 0.02  # variance


class StarRating(NamedTuple):
    """What somebody thinks of an item.

    Attributes:
        item: name of it.
        rater: who.
        stars: 1 to 5.
    """

    item: str
    rater: str
    stars: float


@dataclass(frozen=True)
class RaterFigures:
    """What is known of a rater.

    Attributes:
        count: ratings given, repeats among them.
        bias: by how much they are above those of the usual rater.
        deviation: standard deviation of what he gives to items of equal quality.
        repeats: pairs of ratings of one item by him.
        steadiness: standard deviation of a rating about what he usually gives to that item; None without repeats.
    """

    count: int
    bias: float
    deviation: float
    repeats: int
    steadiness: float | None


@dataclass(frozen=True)
class Consensus:
    """What ratings come to.

    Attributes:
        means: quality by item, on the scale of the stars.
        raters: by name.
    """

    means: dict[str, float]
    raters: dict[str, RaterFigures]


def consensus(ratings: Sequence[StarRating]) -> Consensus:
    """Estimates quality of items, bias and noise of raters, in turns.

    Args:
        ratings: any number of each item by each rater.
    """
    if not ratings:
        return Consensus({}, {})
    items = list(dict.fromkeys(rating.item for rating in ratings))
    raters = list(dict.fromkeys(rating.rater for rating in ratings))
    item = np.array([items.index(rating.item) for rating in ratings])
    rater = np.array([raters.index(rating.rater) for rating in ratings])
    stars = np.array([rating.stars for rating in ratings])
    quality, bias, variance = _fit(item, rater, stars, len(items), len(raters))
    figures = {
        name: _figures(place, item, rater, stars, float(bias[place]), float(variance[place]))
        for place, name in enumerate(raters)
    }
    return Consensus({name: float(np.clip(q, *STARS)) for name, q in zip(items, quality, strict=True)}, figures)


Values = NDArray[np.float64]
Places = NDArray[np.intp]


def _fit(item: Places, rater: Places, stars: Values, items: int, raters: int) -> tuple[Values, Values, Values]:
    """Quality of I items; bias and variance of R raters."""
    bias, variance = np.zeros(raters), np.full(raters, _USUAL)
    quality = np.zeros(items)
    counts = np.bincount(rater, minlength=raters)
    for _ in range(_ROUNDS):
        weight = 1 / variance[rater]
        total = np.bincount(item, weight, items)
        quality = np.bincount(item, weight * (stars - bias[rater]), items) / total
        rest = stars - quality[item]
        # An item that only he rated says nothing about his bias but by what he gives to others: items are dealt out at
        # random, so his mean should be that of all.
        own = np.bincount(rater, stars, raters) / counts - stars.mean()
        shared = np.bincount(item, minlength=items)[item] > 1
        seen = np.bincount(rater[shared], rest[shared], raters)
        seen_count = np.bincount(rater[shared], minlength=raters)
        told = np.where(seen_count > 0, seen / np.maximum(seen_count, 1), own)
        bias = counts / (counts + _PRIOR_BIAS) * told
        bias -= np.average(bias, weights=counts)
        # What the item's mean took up of the residual is given back.
        left = 1 - weight / total[item]
        squares = np.bincount(rater[shared], ((rest - bias[rater]) ** 2)[shared], raters)
        freedom = np.bincount(rater[shared], left[shared], raters)
        variance = np.maximum(_LEAST, (_PRIOR_NOISE * _USUAL + squares) / (_PRIOR_NOISE + freedom))
    return quality, bias, variance


def _figures(place: int, item: Places, rater: Places, stars: Values, bias: float, variance: float) -> RaterFigures:
    own_items, own_stars = item[rater == place], stars[rater == place]
    groups = [own_stars[own_items == name] for name in np.unique(own_items)]
    repeated = [group for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in repeated)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in repeated)
    steadiness = (squares / freedom) ** 0.5 if freedom else None
    return RaterFigures(len(own_stars), bias, variance**0.5, freedom, steadiness)
