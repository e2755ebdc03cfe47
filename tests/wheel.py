"""Builds the wheel, installs it into an environment of its own and uses it from another folder.

python tests/wheel.py                    # installs everything that the wheel asks for
python tests/wheel.py --borrow FOLDER    # takes dependencies from a site-packages folder, and downloads nothing
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PAGE = "static/app.js"  # what a browser asks for, besides the page


def build(folder: Path, isolated: bool) -> Path:
    """Builds the wheel from a copy of what git knows, since setuptools would pack what older builds left behind.

    Args:
        folder: to build in.
        isolated: whether pip downloads setuptools; else the one at hand is used.

    Returns:
        The wheel.
    """
    source = folder / "source"
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    options = [] if isolated else ["--no-build-isolation"]
    _run([sys.executable, "-m", "pip", "wheel", "--no-deps", *options, "--wheel-dir", str(folder), str(source)], folder)
    (wheel,) = folder.glob("fabric_bo-*.whl")
    return wheel


def install(wheel: Path, folder: Path, borrowed: Path | None) -> Path:
    """Installs a wheel into an environment of its own.

    Args:
        wheel: to install.
        folder: of the environment.
        borrowed: site-packages to take dependencies from; they are installed where it is None.

    Returns:
        The command `fabric-bo` of the environment.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    if borrowed is None:
        _run([str(python), "-m", "pip", "install", str(wheel)], folder)
    else:
        _run([str(python), "-m", "pip", "install", "--no-deps", str(wheel)], folder)
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = Path(_run([str(python), "-c", where], folder).strip())
        (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "bin" / "fabric-bo"


def use(command: Path, folder: Path) -> None:
    """Generates, optimises, reports and serves the studio, as small as can be, in a folder that has nothing else.

    Args:
        command: `fabric-bo`.
        folder: to work in; it is made.

    Raises:
        AssertionError: something is missing afterwards.
        subprocess.CalledProcessError: a command failed.
    """
    folder.mkdir()
    where = "import fabric, objectives, optimizer, experiments as e; print(fabric.__file__, e.__file__)"
    places = _run([str(command.with_name("python")), "-c", where], folder).split()
    assert all(Path(place).is_relative_to(command.parents[1]) for place in places), f"used from {places}"
    _run([str(command), "--version"], folder)
    _run([str(command), "generate", "a red star", "--steps", "2", "--output", "generated"], folder)
    assert len(list((folder / "generated").glob("*.png"))) == 1
    tiny = ["--rounds", "2", "--images", "2", "--steps", "2", "--trials", "2"]
    run = ["--prompt", "a red star", "--objective", "pickscore", "--output", "run"]
    _run([str(command), "optimize", *run, *tiny], folder)
    _run([str(command), "report", "run"], folder)
    assert (folder / "run" / "best.yaml").exists()
    assert (folder / "run" / "report.html").stat().st_size > 10_000
    _serve([str(command), "studio", "--folder", "session", "--port", "0"], folder)


def _serve(command: Sequence[str], folder: Path) -> None:
    """Starts the studio, gets its page and a file of it, and stops it as Ctrl-C does."""
    with subprocess.Popen(command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[1]  # "studio: http://... "
            for path in ("", _PAGE):
                with urllib.request.urlopen(f"{url}/{path}", timeout=60) as answer:
                    assert answer.status == 200
        finally:
            server.send_signal(signal.SIGINT)
            code = server.wait(60)
    assert code in (0, 130), f"the studio ended with {code}"


def _run(command: Sequence[str], folder: Path) -> str:
    """What a command prints; it is shown, with what it says of errors, where it fails."""
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    done.check_returncode()
    return done.stdout


def _environment() -> dict[str, str]:
    """Without what would lead Python to the project's own folder."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def main(arguments: Sequence[str]) -> None:
    """Does it all in a temporary folder.

    Args:
        arguments: see the module.
    """
    parser = argparse.ArgumentParser(description="Builds the wheel, installs it and uses it from another folder.")
    parser.add_argument("--borrow", type=Path, metavar="FOLDER", help="site-packages to take dependencies from")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to put the wheel")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder, isolated=options.borrow is None)
        use(install(wheel, folder / "environment", options.borrow), folder / "elsewhere")
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / wheel.name).write_bytes(wheel.read_bytes())
        print(f"{wheel.name}, {wheel.stat().st_size / 2**20:.1f} MB, works")


if __name__ == "__main__":
    main(sys.argv[1:])
