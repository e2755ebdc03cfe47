"""Choices between images by people: the better of two, or the best of several, of one prompt and shown together.

What people choose from is a look, known by what it is for and by the content of its images.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from optuna.study import Study
from PIL import Image

from experiments.people.questions import Answered, Questions, answers_in, content_id
from experiments.people.ratings import item_id
from experiments.run.artifacts import Artifacts
from fabric.seeding import generator_for

_LOOK, _CHOICE, _CLOSED = "people:look:", "people:choice:", "people:closed:"


class Look(NamedTuple):
    """Images that are shown together.

    Attributes:
        id: of its content.
        prompt: of all of them.
        options: ids of two or more different images.
        purpose: what it is for; looks of one purpose are closed together.
        tie: whether "can't tell" is an answer.
    """

    id: str
    prompt: str
    options: tuple[str, ...]
    purpose: str
    tie: bool


class LookChoice(NamedTuple):
    """What somebody chose.

    Attributes:
        look: id of it.
        rater: who.
        chosen: id of the image; None for a tie.
    """

    look: str
    rater: str
    chosen: str | None


class StudyChoices(Questions):
    """What people choose from the images of a run; see `Questions`."""

    wanted = "choices"

    def __init__(self, study: Study, output: Path, needed: int = 1, artifacts: Artifacts | None = None) -> None:
        self._looks: dict[str, Look] = {}
        self._closed: set[str] = set()
        self._choices: list[LookChoice] = []
        super().__init__(study, output, needed, artifacts)

    def _read(self, attributes: Mapping[str, Any]) -> None:
        self._looks = {
            look.id: look
            for name, value in attributes.items()
            if name.startswith(_LOOK) and (look := _look(name.removeprefix(_LOOK), value))
        }
        self._closed = {name.removeprefix(_CLOSED) for name in attributes if name.startswith(_CLOSED)}
        self._choices = [
            LookChoice(value["look"], value["rater"], value["chosen"]) for value in answers_in(attributes, _CHOICE)
        ]

    @property
    def looks(self) -> Mapping[str, Look]:
        """All that people were shown, by id."""
        return self._looks

    @property
    def asked(self) -> Collection[str]:
        """Ids of the looks that are not closed."""
        return [look.id for look in self._looks.values() if look.purpose not in self._closed]

    @property
    def choices(self) -> Sequence[LookChoice]:
        """All that were made, in their order."""
        return self._choices

    @property
    def answered(self) -> Sequence[Answered]:
        """See `Questions`."""
        return [Answered(choice.look, choice.rater) for choice in self._choices]

    def shown(self, question: str, rater: str) -> dict[str, Any]:
        """A look with its images in random order, another one when it is shown again; see `Questions`."""
        look = self._looks[question]
        times = sum(choice.look == question and choice.rater == rater for choice in self._choices)
        generator = generator_for("options", question, rater, times)
        order = torch.randperm(len(look.options), generator=generator).tolist()
        options = [look.options[place] for place in order]
        return {"look": {"id": look.id, "prompt": look.prompt, "options": options, "tie": look.tie}}

    def keep(self, picture: Image.Image, prompt: str) -> str:
        """Keeps a picture that looks may show.

        Returns:
            Its id.
        """
        item = item_id(picture, prompt)
        self._keep(item, picture)
        return item

    def ask(self, prompt: str, options: Sequence[str], purpose: str, *, tie: bool) -> str:
        """Asks people to choose; what was asked already is not asked again.

        Args:
            prompt: of all images.
            options: ids of two or more different images, see `keep`.
            purpose: see `Look`.
            tie: likewise.

        Returns:
            Id of the look.
        """
        content = " ".join([purpose, prompt, *sorted(options)])
        look = Look(content_id(content), prompt, tuple(options), purpose, tie)
        if look.id not in self._looks:
            value = {"prompt": prompt, "options": list(options), "purpose": purpose, "tie": tie}
            self.study.set_user_attr(_LOOK + look.id, value)
            self._looks[look.id] = look
        return look.id

    def close(self, purpose: str) -> None:
        """Asks nobody any more about looks of a purpose: enough is known."""
        if purpose not in self._closed:
            self.study.set_user_attr(_CLOSED + purpose, True)
            self._closed.add(purpose)

    def add(self, question: str, rater: str, answer: str | None) -> None:
        """Keeps a choice: the id of an image, None for a tie; see `Questions`."""
        self._check_known("look", question, lambda: self._looks)
        look = self._looks[question]
        if answer is None and not look.tie:
            raise ValueError("chosen: null; allowed: one of the images")
        if answer is not None and answer not in look.options:
            raise ValueError(f"chosen: {answer[:40]!r} is unknown; allowed: one of the images")
        self._append(_CHOICE, rater, {"look": question, "chosen": answer})


def first_choices(choices: Iterable[LookChoice]) -> list[LookChoice]:
    """What each rater chose when he was first shown a look."""
    found: dict[tuple[str, str], LookChoice] = {}
    for choice in choices:
        found.setdefault((choice.look, choice.rater), choice)
    return list(found.values())


class ChooserFigures(NamedTuple):
    """What is known of somebody who chooses.

    Attributes:
        given: choices, repeats among them.
        ties: share of those in which he could not tell.
        agreement: share of the first choices of others from the same looks that are his too; None without any.
        repeats: looks that he was shown again.
        steadiness: share of those from which he chose the same again; None without any.
    """

    given: int
    ties: float
    agreement: float | None
    repeats: int
    steadiness: float | None


def chooser_figures(choices: Sequence[LookChoice]) -> dict[str, ChooserFigures]:
    """What is known of those who choose, by name."""
    by_look: dict[str, dict[str, list[str | None]]] = defaultdict(lambda: defaultdict(list))
    for choice in choices:
        by_look[choice.look][choice.rater].append(choice.chosen)
    counts = Counter(choice.rater for choice in choices)
    found = {}
    for name, count in counts.items():
        own = [given for given in by_look.values() if name in given]
        same = [given[name][0] == chosen[0] for given in own for other, chosen in given.items() if other != name]
        again = [chosen == given[name][0] for given in own for chosen in given[name][1:]]
        ties = sum(choice.chosen is None for choice in choices if choice.rater == name) / count
        found[name] = ChooserFigures(count, ties, _share(same), len(again), _share(again))
    return found


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _look(identity: str, value: dict[str, Any]) -> Look:
    return Look(identity, value["prompt"], tuple(value["options"]), value["purpose"], value["tie"])
