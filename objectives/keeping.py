"""Results kept by a key, so that what comes again, as targets and baselines do, is computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from cachetools import LRUCache

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


def look_up(
    kept: LRUCache[Key, Result],
    keys: Sequence[Key],
    items: Sequence[Item],
    compute: Callable[[list[Item]], Iterable[Result]],
    batch: int,
) -> list[Result]:
    """Results of items, those that are not kept yet computed in batches.

    Args:
        kept: filled with what is computed.
        keys: N keys; equal ones stand for equal results.
        items: N items.
        compute: from at most `batch` items to as many results.
        batch: items at once.
    """
    new = {key: item for key, item in zip(keys, items, strict=True) if key not in kept}
    found = {key: kept[key] for key in keys if key not in new}
    names = list(new)
    for start in range(0, len(names), batch):
        batch_names = names[start : start + batch]
        found.update(zip(batch_names, compute([new[key] for key in batch_names]), strict=True))
    kept.update(found)
    return [found[key] for key in keys]
