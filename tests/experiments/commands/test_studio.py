"""`fabric-bo studio`: what it says before it serves, and which options it refuses."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from experiments.cli import main
from tests.processes import command


@pytest.mark.slow
@pytest.mark.xdist_group("page")
@pytest.mark.parametrize(
    ("more", "environment", "bound", "warned"),
    [
        ([], {}, "127.0.0.1", False),
        (["--host", "0.0.0.0"], {}, "0.0.0.0", True),
        (["--host", "0.0.0.0", "--auth", "ann:secret"], {}, "0.0.0.0", False),
        (["--host", "0.0.0.0"], {"FABRIC_BO_AUTH": "ann:secret"}, "0.0.0.0", False),
    ],
)
def test_it_is_closed_unless_told_otherwise_and_warns_when_open_to_all(
    more: list[str], environment: dict[str, str], bound: str, warned: bool, tmp_path: Path
) -> None:
    server = command("studio", "--folder", str(tmp_path), "--port", "0", *more, environment=environment)
    line = server.line()
    server.terminate()
    assert re.match(rf"studio: http://{re.escape(bound)}:\d+ ", line)
    assert ("warning: everybody who reaches 0.0.0.0" in server.err) == warned
    assert "secret" not in line + server.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--auth", "ann"], "auth"),
        (["--auth", ":secret"], "auth"),
        (["--port", "70000"], "port: 70000"),
        (["--images", "1", "--port", "0"], "images: 1"),
        (["--blind", "tuned", "nothing.yaml", "--port", "0"], "nothing.yaml"),
        (["--blind", "none", "none", "--port", "0"], "same settings"),
    ],
)
def test_wrong_options_are_named_in_one_line(
    options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["studio", "--folder", str(tmp_path), *options]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "Loading" not in line and line.strip()]
    assert len(said) == 1
    assert named in said[0]
    assert "allowed" in said[0]


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["studio", "--folder", str(tmp_path), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_credentials_of_the_environment_are_checked_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FABRIC_BO_AUTH", "secret")
    assert main(["studio", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: auth: not USER:PASSWORD; allowed: both, neither empty\n"
