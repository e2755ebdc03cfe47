"""Processes of their own for tests, which can be killed, and whose start takes a moment instead of ten seconds.

Each is forked from a server that has imported torch and diffusers and done nothing else, so it is as fresh as one that
was started from the command line.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_IMPORTED = ["diffusers", "transformers", "botorch", "experiments.commands.optimize", "experiments.studio.web.server"]
_FORKS = multiprocessing.get_context("forkserver")
_WAIT = 240.0


class Child:
    """A process that calls a function.

    Args:
        act: a function of a module, its result the exit code (None is 0).
        arguments: for it; it must be possible to pickle them.
        environment: variables besides the present ones.
    """

    def __init__(
        self, act: Callable[..., object], *arguments: object, environment: Mapping[str, str] | None = None
    ) -> None:
        _FORKS.set_forkserver_preload(_IMPORTED)
        self._folder = tempfile.TemporaryDirectory()
        out, err = (Path(self._folder.name) / name for name in ("out", "err"))
        self._out, self._err = out, err
        variables = {**os.environ, **(environment or {})}
        self._process = _FORKS.Process(target=_run, args=(act, arguments, variables, out, err))
        self._process.start()
        self._read = 0

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def out(self) -> str:
        """What it has written to its standard output."""
        return self._out.read_text() if self._out.exists() else ""

    @property
    def err(self) -> str:
        """What it has written to its standard error."""
        return self._err.read_text() if self._err.exists() else ""

    def line(self) -> str:
        """The next line of its standard output; waits for it."""
        until = time.monotonic() + _WAIT
        while "\n" not in self.out[self._read :]:
            assert time.monotonic() < until, f"no line came: {self.err[-2000:]}"
            assert self._process.is_alive() or "\n" in self.out[self._read :], self.err[-2000:]
            time.sleep(0.02)
        line = self.out[self._read :].split("\n", 1)[0]
        self._read += len(line) + 1
        return line

    def wait(self, longest: float = _WAIT) -> int:
        """Its exit code, negative the signal that killed it; waits for it for so many seconds at most."""
        self._process.join(longest)
        assert self._process.exitcode is not None, f"it does not end: {self.err[-2000:]}"
        return self._process.exitcode

    def kill(self) -> None:
        """Ends it at once, as a loss of power would."""
        self._process.kill()
        self.wait()

    def terminate(self) -> None:
        """Asks it to end."""
        self._process.terminate()
        self.wait()


def command(*arguments: str, environment: Mapping[str, str] | None = None) -> Child:
    """`fabric-bo` with arguments."""
    return Child(_command, arguments, environment=environment)


def _command(arguments: Sequence[str]) -> int:
    from experiments.cli import main  # the child imports what the command needs, as a user's process does

    return main(list(arguments))


def _run(
    act: Callable[..., object], arguments: tuple[Any, ...], environment: Mapping[str, str], out: Path, err: Path
) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    raise SystemExit(act(*arguments))
