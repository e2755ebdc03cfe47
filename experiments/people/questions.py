"""What people are asked about the images of a run, and who has answered: kept in its study, appended, never changed.

Any number of processes ask, answer and read. A question is known by its content, so a run that was killed asks for
nothing twice.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from optuna.study import Study
from PIL import Image

from experiments.run.artifacts import FOLDER, Artifacts
from experiments.run.progress import Progress

_WAIT = 1.0  # seconds between two looks
_MOST_CHARACTERS = 60  # of a rater's name


class Answered(NamedTuple):
    """That somebody answered a question.

    Attributes:
        question: id of it.
        rater: who.
    """

    question: str
    rater: str


class Questions(ABC):
    """Questions and who answered them.

    Args:
        study: of the run; keeps both as user attributes.
        output: folder of the run.
        needed: people who must have answered a question.
        artifacts: keep the pictures; in the run's folder by default.
    """

    wanted: ClassVar[str]
    """What people give, as in "waiting for 3 ratings"."""

    def __init__(self, study: Study, output: Path, needed: int = 1, artifacts: Artifacts | None = None) -> None:
        self.study = study
        self.output = output
        self.artifacts = artifacts or Artifacts(output / FOLDER)
        self.needed = needed
        self.refresh()

    def refresh(self) -> None:
        """Reads what was written since, by others too."""
        self._read(self.study.user_attrs)
        self._raters = defaultdict[str, set[str]](set)
        for question, rater in self.answered:
            self._raters[question].add(rater)

    @abstractmethod
    def _read(self, attributes: Mapping[str, Any]) -> None:
        """Reads questions and answers out of the attributes of the study."""

    @property
    @abstractmethod
    def asked(self) -> Collection[str]:
        """Ids of all questions that people are to answer."""

    @property
    @abstractmethod
    def answered(self) -> Sequence[Answered]:
        """Who answered what, in the order of time."""

    @abstractmethod
    def shown(self, question: str, rater: str) -> dict[str, Any]:
        """What the page shows to somebody of a question, as plain values; nothing that tells settings apart."""

    @abstractmethod
    def add(self, question: str, rater: str, answer: Any) -> None:
        """Keeps an answer; of several by one rater to one question the first counts, others tell how steady he is.

        Raises:
            ValueError: there is no such question, or answer or name are out of range.
        """

    def raters_of(self) -> Mapping[str, set[str]]:
        """By question who answered it; empty for those that nobody did."""
        return self._raters

    def is_answered(self, question: str) -> bool:
        """Whether enough people have answered a question."""
        return len(self.raters_of()[question]) >= self.needed

    def left(self, questions: Collection[str] | None = None) -> int:
        """Answers that are still needed: of all questions by default."""
        raters = self.raters_of()
        wanted = self.asked if questions is None else questions
        return sum(max(0, self.needed - len(raters[question])) for question in wanted)

    def what_is_left(self, questions: Collection[str] | None = None) -> str:
        """What a run waits for, in words; see `left`."""
        return f"waiting for {self.left(questions)} {self.wanted}: fabric-bo rate {self.output}"

    def path(self, item: str) -> Path:
        """File of a picture.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.artifacts.path(_file(item))

    def _keep(self, item: str, picture: Image.Image) -> None:
        """Keeps a picture; to be called before the record that points to it is written."""
        self.artifacts.keep(_file(item), picture)

    def _check_known(self, what: str, question: str, known: Callable[[], Container[str]]) -> None:
        """Raises `ValueError` where a question is unknown, to those who asked meanwhile too."""
        if question not in known():
            self.refresh()
        if question not in known():
            raise ValueError(f"{what}: {question[:40]!r} is unknown; allowed: one that the page showed")

    def _append(self, kind: str, rater: str, answer: Mapping[str, Any]) -> None:
        """Writes what somebody answered; `answers_in` reads it.

        Raises:
            ValueError: the name is out of range.
        """
        value = {**answer, "rater": checked_name(rater), "at": datetime.now(UTC).isoformat()}
        self.study.set_user_attr(kind + uuid.uuid4().hex, value)
        self.refresh()


def checked_name(rater: str) -> str:
    """A rater's name, without spaces around it.

    Raises:
        ValueError: it is empty or too long.
    """
    name = rater.strip()
    if not 0 < len(name) <= _MOST_CHARACTERS:
        raise ValueError(f"rater: {rater[:40]!r}; allowed: a name of 1 to {_MOST_CHARACTERS} characters")
    return name


def content_id(text: str) -> str:
    """Id of what people are asked, by content."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def answers_in(attributes: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Answers among the attributes of a study whose names begin so, in the order of time."""
    written = (value for name, value in attributes.items() if name.startswith(kind))
    return sorted(written, key=lambda value: str(value["at"]))


def wait_for(questions: Questions, ids: Collection[str], progress: Progress) -> None:
    """Waits until people have answered some questions.

    Args:
        questions: of a run.
        ids: of those questions.
        progress: says what it waits for.
    """
    while questions.left(ids):
        wait_a_little(questions, ids, progress)


def wait_a_little(questions: Questions, ids: Collection[str], progress: Progress) -> None:
    """Says what is waited for, and looks again after a moment; see `wait_for`."""
    progress.doing(questions.what_is_left(ids))
    time.sleep(_WAIT)
    questions.refresh()


def _file(item: str) -> str:
    """Name of the artifact that a picture is."""
    return f"rated-{item}.png"
