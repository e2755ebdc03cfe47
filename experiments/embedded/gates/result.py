"""What a gate measured, against its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class GateResult:
    """What a gate measured.

    Attributes:
        title: of the gate.
        checks: what was measured, its value, the least (or most, where `at_most`) that passes.
        notes: further figures, not judged.
    """

    title: str
    checks: list[Check] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True)
class Check:
    """One figure against its bound."""

    name: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value is on the right side of the bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def share(count: int, effort: float) -> int:
    """So much of a number of pictures, prompts, settings or steps, at least two."""
    return max(2, round(count * effort))
