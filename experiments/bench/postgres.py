"""A PostgreSQL server of its own, in a temporary folder and on a socket, as this machine's packages have it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

_PACKAGES = Path("/usr/lib/postgresql")  # of Debian, a folder for each version
_LONGEST = 60  # seconds that starting and stopping may take


class Postgres:
    """A server.

    Args:
        folder: of its data and socket; short, since paths of sockets are.
        settings: of the server, by name; the rest are its defaults.

    Raises:
        ValueError: it is not installed, or cannot be made here; the message is one line.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        found = sorted(_PACKAGES.glob("*/bin/pg_ctl"))
        if not found:
            raise ValueError("postgresql: not installed: apt-get install postgresql")
        self._bin = found[-1].parent
        self.folder = folder
        self.settings = {"listen_addresses": "", "unix_socket_directories": str(folder), **settings}
        # The server refuses to run as root, as which some machines work.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "--auth=trust", "--no-sync")

    @property
    def url(self) -> str:
        """Of its database, as SQLAlchemy takes it."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", str(self.folder / "log"), "-w", "start"
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stops it: `immediate` is as a loss of power, `fast` ends what is under way."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / name, *arguments],
            user=self._user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=_LONGEST,
        )
        if done.returncode != 0:
            raise ValueError(f"postgresql: {name} failed ({' '.join(done.stderr.decode().split())[-200:]})")


@contextlib.contextmanager
def postgres(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Postgres]:
    """A server that runs, with an empty database.

    Args:
        settings: of the server, by name; the rest are its defaults.

    Raises:
        ValueError: it is not installed, or cannot be made here; the message is one line.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        server = Postgres(folder, settings)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(ValueError):  # somebody has stopped it
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
