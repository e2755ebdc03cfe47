"""People who are simulated: they rate whatever a run asks for, until it is over."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.people.queue import next_turn
from experiments.people.ratings import StudyRatings
from experiments.run.study import read_study

Opinion = Callable[[Image.Image], int]


def whim(image: Image.Image) -> int:
    """One to five stars, by a small difference in brightness."""
    return 1 + int(np.asarray(image.convert("L")).mean() * 4) % 5


def rate_all(ratings: StudyRatings, rater: str, opinion: Opinion = whim) -> int:
    """Rates what there is to rate now.

    Returns:
        How many ratings that were.
    """
    count = 0
    ratings.refresh()
    while (item := next_turn(ratings, rater, 0.0).item) is not None:
        with Image.open(ratings.path(item.id)) as picture:
            ratings.add(item.id, rater, opinion(picture))
        count += 1
    return count


@contextlib.contextmanager
def rating(folder: Path, raters: Sequence[str] = ("ann",), needed: int = 1) -> Iterator[None]:
    """Within, people look every now and then for what the run in a folder asks them."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(ValueError):  # the run has not begun
                ratings = StudyRatings(read_study(folder)[0], folder, needed)
                while not over.wait(0.05):
                    for rater in raters:
                        rate_all(ratings, rater)

    thread = threading.Thread(target=look, name="raters", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
