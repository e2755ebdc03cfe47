"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path, *, new: bool = False) -> Iterator[Path]:
    """Gives a temporary path beside `path`; what the block writes there takes the place of `path` when it ends.

    Whoever reads `path` meanwhile finds the old file or the new one, never a part. Any number of threads and processes
    may write one path at the same time: each has a temporary name of its own, and the last to finish wins. The block
    opens the file itself, so its permissions follow the umask (those of `tempfile` do not).

    Args:
        path: of the file, in a folder that exists.
        new: whether to write it only where there is no file yet; of several who write at the same time, the first wins.

    Raises:
        FileExistsError: it is to be a new file, and is there.
        OSError: the file cannot be put there. After this or any error of the block, `path` is as it was and nothing
            is left beside it.
    """
    unfinished = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield unfinished
        if new:
            path.touch(exist_ok=False)  # hard links, which could do both at once, do not work on every drive
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
