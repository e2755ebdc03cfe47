"""What the page sends, checked and made records of."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from experiments.studio.history.records import Record, from_dict

_ID = re.compile(r"[0-9a-f-]{16,64}")
_LONGEST = 20_000  # characters of an act as JSON
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
    text = json.dumps(values)
    if len(text) > _LONGEST:
        raise ValueError(f"act: {len(text)} characters; allowed: up to {_LONGEST}")
    given = {name: value for name, value in values.items() if name != "time"}
    if not isinstance(given.get("id"), str) or not _ID.fullmatch(given["id"]):
        raise ValueError(f"id: {given.get('id')!r}; allowed: 16 to 64 hexadecimal digits")
    rater_of(given)
    record = from_dict(given)
    adapter: TypeAdapter[Record] = TypeAdapter(type(record))
    try:
        adapter.validate_json(json.dumps({name: value for name, value in given.items() if name != "kind"}), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{given['kind']}.{place}: {first['msg']}") from None
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
