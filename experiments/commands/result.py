"""What a command came to: text for people, plain values for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CommandResult:
    """What is printed to stdout once a command is done.

    Attributes:
        text: for people.
        values: the same and more as plain values, for `--json`.
        code: exit code.
    """

    text: str
    values: Any = None
    code: int = 0

    def to_json(self) -> str:
        """The values as one JSON document.

        Raises:
            ValueError: a value is no finite number.
        """
        return json.dumps(self.values, indent=1, ensure_ascii=False, allow_nan=False)
