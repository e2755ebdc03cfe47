"""What the page sends, checked and made records of."""

from __future__ import annotations

import json
import re
from typing import Any

from experiments.studio.history.records import Record, from_dict

_ID = re.compile(r"[0-9a-f-]{16,64}")
LONGEST = 20_000  # bytes of an act as JSON
_NAME = 40  # characters of a rater's name


def record_of(values: object) -> Record:
    """The record of an act; its time is the server's.

    Args:
        values: as `records.to_dict` gives them, less the time.

    Raises:
        ValueError: something is missing, unknown, of a wrong type or out of range; the message is one line.
    """
    if not isinstance(values, dict):
        raise ValueError(f"act: {type(values).__name__}; allowed: a mapping of names to values")
    try:
        size = len(json.dumps(values, ensure_ascii=False).encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which a database may refuse
        raise ValueError("act: characters that are none; allowed: Unicode text") from None
    if size > LONGEST:
        raise ValueError(f"act: {size} bytes; allowed: up to {LONGEST}")
    rater_of(values)
    record = from_dict({name: value for name, value in values.items() if name != "time"})
    if not _ID.fullmatch(record.id) or "id" not in values:
        raise ValueError(f"id: {values.get('id')!r}; allowed: 16 to 64 hexadecimal digits, made by the page")
    return record


def rater_of(values: dict[str, Any]) -> str:
    """Who sends.

    Raises:
        ValueError: it is no name.
    """
    rater = values.get("rater")
    if not isinstance(rater, str) or not 1 <= len(rater.strip()) <= _NAME:
        raise ValueError(f"rater: {str(rater)[:_NAME]!r}; allowed: a name of 1 to {_NAME} characters")
    return rater
