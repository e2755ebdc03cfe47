"""Lines of rounds: a session may go on from an older round, as often as people like, and nothing is lost by it.

The first line has no name. Every other leaves a line after one of its rounds: it has the rounds up to there, and then
its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.studio.history.records import Branch, Resume
from experiments.studio.history.shown import Round

FIRST = ""


@dataclass(frozen=True)
class Line:
    """Rounds that go on one from the other.

    Attributes:
        id: of the line.
        rounds: all of them.
        shared: how many of these it has from the line that it left.
        left: id of that line; of the first its own.
    """

    id: str = FIRST
    rounds: tuple[Round, ...] = ()
    shared: int = 0
    left: str = FIRST

    @property
    def own(self) -> tuple[Round, ...]:
        """Rounds that were made on it."""
        return self.rounds[self.shared :]

    def has_own(self, number: int) -> bool:
        """Whether a round of this number was made on it."""
        return self.shared <= number < len(self.rounds)


def lines_of(made: Sequence[Round], branches: Iterable[Branch], standing: Container[str]) -> dict[str, Line]:
    """All lines by id, in the order in which they were begun.

    Args:
        made: all rounds of the session.
        branches: all that there were. One that was taken back is there while rounds were made on its line.
        standing: ids of those that were not taken back.
    """
    own: dict[str, list[Round]] = defaultdict(list)
    for images in sorted(made, key=lambda images: images[0].round):
        own[images[0].line].append(images)
    lines = {FIRST: Line(FIRST, tuple(own[FIRST]))}
    for branch in branches:
        if branch.line not in lines and (branch.id in standing or own[branch.line]):
            left = lines.get(branch.left, lines[FIRST])
            shared = left.rounds[: branch.round + 1]
            lines[branch.line] = Line(branch.line, (*shared, *own[branch.line]), len(shared), left.id)
    return lines


def check_line(lines: Mapping[str, Line], record: Branch | Resume) -> None:
    """What a record says of lines must fit those that there are.

    Raises:
        ValueError: it names a line or a round that there is not, or begins a line that is there already.
    """
    known = record.line if isinstance(record, Resume) else record.left
    if known not in lines:
        raise ValueError(f"line: {known[:64]!r} is unknown; allowed: lines of this session")
    if isinstance(record, Resume):
        return
    if not lines[known].has_own(record.round):
        raise ValueError(f"round: {record.round} was not made on the line {known!r}; allowed: rounds of that line")
    there = lines.get(record.line)
    if there is not None and (there.left, there.shared) != (record.left, record.round + 1):
        raise ValueError(f"line: {record.line} goes on from another round; allowed: a new name")
