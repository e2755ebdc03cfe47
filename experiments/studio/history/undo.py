"""What stands of what was done, and what was taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from experiments.studio.history.records import Record, Withdrawal


def standing_of(records: Sequence[Record]) -> list[Record]:
    """Records that their own rater did not withdraw; withdrawals are not among them."""
    withdrawn = {(record.rater, record.record) for record in records if isinstance(record, Withdrawal)}
    kept = (record for record in records if not isinstance(record, Withdrawal))
    return [record for record in kept if (record.rater, record.id) not in withdrawn]


def redoable_of(records: Sequence[Record]) -> dict[str, Record]:
    """By rater what undo took back the latest. Doing it once more makes way for what was taken back before it."""
    known = {(record.rater, record.id): record for record in records}
    taken: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        mine = taken[record.rater]
        if isinstance(record, Withdrawal):
            if (target := known.get((record.rater, record.record))) is not None:
                mine.append(target)
        elif mine and mine[-1] == record.model_copy(update={"id": mine[-1].id, "time": mine[-1].time}):
            mine.pop()
        else:
            mine.clear()
    return {rater: mine[-1] for rater, mine in taken.items() if mine}
