"""What people chose, kept in the study: appended, never overwritten.

A trial is one setting that somebody looked at; its value is not read. A choice, and the withdrawal of one, is a user
attribute of the study under a key of its own, so that several people may choose at the same time.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study

_CHOICE = "fabric-bo:choice:"
_WITHDRAWN = "fabric-bo:withdrawn:"


@dataclass(frozen=True)
class Choice:
    """One look at some images, and the one that was picked.

    Attributes:
        key: of the record.
        options: numbers of the trials that were shown.
        chosen: the number of the best of them; None where no choice was made, which says nothing about them.
        rater: who chose.
    """

    key: str
    options: tuple[int, ...]
    chosen: int | None
    rater: str = ""


def add_choice(study: Study, options: Sequence[int], chosen: int | None, rater: str = "") -> str:
    """Records a choice.

    Args:
        study: of the trials.
        options: numbers of the trials that were shown, two or more.
        chosen: the number of the best of them, or None.
        rater: who chose.

    Returns:
        The key of the record.

    Raises:
        ValueError: an option is named twice or unknown, or the chosen one was not among them.
    """
    known = {trial.number for trial in study.get_trials(deepcopy=False)}
    if len(options) < 2 or len(set(options)) < len(options) or not known.issuperset(options):
        raise ValueError(f"options: {list(options)}; allowed: two or more different trials of the study")
    if chosen is not None and chosen not in options:
        raise ValueError(f"chosen: {chosen} was not shown; allowed: {', '.join(map(str, options))}")
    key = _new_key(_CHOICE)
    study.set_user_attr(key, {"options": list(options), "chosen": chosen, "rater": rater})
    return key


def withdraw(study: Study, key: str) -> None:
    """Takes a choice back; its record stays.

    Raises:
        ValueError: there is no such choice.
    """
    if not key.startswith(_CHOICE) or key not in study.user_attrs:
        raise ValueError(f"choice: {key!r} is unknown")
    study.set_user_attr(_new_key(_WITHDRAWN), key)


def choices_of(study: Study) -> list[Choice]:
    """All choices that were not withdrawn, in the order in which they were made."""
    records = study.user_attrs
    withdrawn = {record for key, record in records.items() if key.startswith(_WITHDRAWN)}
    return [
        Choice(key, tuple(record["options"]), record["chosen"], record["rater"])
        for key, record in sorted(records.items())
        if key.startswith(_CHOICE) and key not in withdrawn
    ]


def _new_key(kind: str) -> str:
    """Sorts by time; no two are equal."""
    return f"{kind}{time.time_ns():020d}:{uuid.uuid4().hex}"
