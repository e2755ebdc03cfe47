"""People who are simulated: they answer whatever a run asks, until it is over."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.config.read import check_config
from experiments.people.asking import questions_of
from experiments.people.choices import StudyChoices
from experiments.people.questions import Questions
from experiments.people.queue import next_turn
from experiments.people.ratings import StudyRatings
from experiments.run.artifacts import artifacts_of
from experiments.run.study import read_study

Opinion = Callable[[Image.Image], int]


def whim(image: Image.Image) -> int:
    """One to five stars, by a small difference in brightness."""
    return 1 + int(np.asarray(image.convert("L")).mean() * 4) % 5


def answer_all(questions: Questions, rater: str, opinion: Opinion = whim) -> int:
    """Answers what there is to answer now: with stars, or with the image of the most stars, the first of equals.

    Returns:
        How many answers that were.
    """
    count = 0
    questions.refresh()
    while (question := next_turn(questions, rater, 0.0).question) is not None:
        if isinstance(questions, StudyRatings):
            questions.add(question, rater, _stars(questions, question, opinion))
        else:
            assert isinstance(questions, StudyChoices)
            options = questions.looks[question].options
            questions.add(question, rater, max(options, key=lambda item: _stars(questions, item, opinion)))
        count += 1
    return count


def _stars(questions: Questions, item: str, opinion: Opinion) -> int:
    with Image.open(questions.path(item)) as picture:
        return opinion(picture)


@contextlib.contextmanager
def answering(folder: Path, raters: Sequence[str] = ("ann",), opinion: Opinion = whim) -> Iterator[None]:
    """Within, people look every now and then for what the run in a folder asks them."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(ValueError):  # the run has not begun
                questions = read_questions(folder)
                while not over.wait(0.05):
                    for rater in raters:
                        answer_all(questions, rater, opinion)

    thread = threading.Thread(target=look, name="raters", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def read_questions(folder: Path) -> Questions:
    """Of a run.

    Raises:
        ValueError: there is none.
    """
    study, values = read_study(folder)
    config = check_config({**values, "output": str(folder)})
    return questions_of(study, config, artifacts_of(config))
