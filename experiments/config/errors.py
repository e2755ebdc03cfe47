"""What pydantic finds wrong, in one line."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Checked = TypeVar("Checked", bound=BaseModel)
_LONGEST = 200  # characters of a value that is quoted


def checked(kind: type[Checked], values: dict[str, Any]) -> Checked:
    """A configuration of plain values.

    Args:
        kind: what it is to be.
        values: its fields.

    Raises:
        ValueError: something is wrong; the message is one line and names the place.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from error


def in_one_line(error: ValidationError) -> str:
    """The first complaint, with its place and value; how many more there are."""
    complaints = error.errors()
    first = complaints[0]
    place = ".".join(map(str, first["loc"]))
    context = first.get("ctx", {})
    match first["type"]:
        case "value_error":
            message = first["msg"].removeprefix("Value error, ")
        case "extra_forbidden":
            message = "unknown key"
        case "missing":
            message = "missing"
        case "union_tag_not_found":
            message = f"no {context['discriminator']}"
        case "union_tag_invalid":
            message = f"{context['discriminator']}: {context['tag']!r} is unknown; allowed: {context['expected_tags']}"
        case "literal_error":
            message = f"{_quoted(first['input'])} is unknown; allowed: {context['expected']}"
        case _:
            message = f"{_quoted(first['input'])}: {first['msg']}"
    more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
    return f"{place}: {message}{more}" if place else f"{message}{more}"


def _quoted(value: object) -> str:
    return repr(value)[:_LONGEST]
