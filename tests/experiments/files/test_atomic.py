from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from experiments.files.atomic import atomic_write


def test_the_new_file_takes_the_place_of_the_old_one_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as unfinished:
        assert unfinished.parent == tmp_path
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"), atomic_write(tmp_path / "taken") as unfinished:
        unfinished.write_text("new")
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_many_may_write_one_file_at_the_same_time(tmp_path: Path) -> None:
    path, together = tmp_path / "a.txt", Barrier(8)

    def write(number: int) -> None:
        together.wait()
        for _ in range(20):
            with atomic_write(path) as unfinished:
                unfinished.write_text(str(number) * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert path.read_text() in {str(number) * 1000 for number in range(8)}
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_takes_the_place_of_none(tmp_path: Path) -> None:
    path, together = tmp_path / "a.txt", Barrier(8)

    def write(number: int) -> bool:
        together.wait()
        try:
            with atomic_write(path, new=True) as unfinished:
                unfinished.write_text(str(number) * 1000)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(write, range(8)))
    assert sum(wrote) == 1
    assert path.read_text() == str(wrote.index(True)) * 1000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "a.txt") as unfinished:
            unfinished.write_text("new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode
