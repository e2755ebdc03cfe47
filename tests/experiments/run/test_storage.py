"""Databases of studies: their passwords are written nowhere, and found again in the environment."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from experiments.cli import main
from experiments.run import storage
from experiments.run.storage import ENVIRONMENT, RunStorage, connect, with_password, without_password
from experiments.run.study import CONFIG, default_storage, open_study, read_study

URL = "postgresql://me:se/cret@host/studies".replace("/cret", "%2Fcret")
WRITTEN = "postgresql://me:***@host/studies"
CONFIGURATION = {"objective": [{"name": "clip-target"}], "model": {"device": "cpu"}, "storage": URL}


@pytest.mark.parametrize(
    ("url", "written"),
    [
        (URL, WRITTEN),
        ("postgresql://me@host/studies", "postgresql://me@host/studies"),
        ("sqlite:////tmp/study.db", "sqlite:////tmp/study.db"),
        ("mysql://host/studies?user=me&password=secret", "mysql://host/studies?password=%2A%2A%2A&user=me"),
        ("not a URL:secret@host", "***@host"),
    ],
)
def test_what_is_written_has_no_password(url: str, written: str) -> None:
    assert "secret" not in without_password(url)
    assert "cret" not in without_password(url)
    assert without_password(url) == written
    assert without_password(written) == written


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_password(URL) == URL
    for other in (None, "", "postgresql://me:other@elsewhere/studies", WRITTEN):
        monkeypatch.delenv(ENVIRONMENT, raising=False)
        if other is not None:
            monkeypatch.setenv(ENVIRONMENT, other)
        with pytest.raises(ValueError, match=r"^storage: the password of postgresql://me:\*\*\*@host/studies is not"):
            with_password(WRITTEN)
    monkeypatch.setenv(ENVIRONMENT, URL)
    assert with_password(WRITTEN) == URL


def test_an_error_tells_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(url: str, beat: int, grace: int) -> RDBStorage:
        raise OperationalError(f"cannot log in with se/cret at {url}", None, ValueError("no"))

    monkeypatch.setattr(storage, "_connect", refused)
    monkeypatch.setattr(storage, "_PAUSE", 0)
    with pytest.raises(ValueError, match=r"^storage: postgresql://me:\*\*\*@host/studies cannot be opened") as caught:
        connect(URL)
    assert "cret" not in "".join(traceback.format_exception(caught.value, limit=0))
    assert "\n" not in str(caught.value)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in place of the server, which asks for the password."""
    real = storage._connect

    def opened(url: str, beat: int, grace: int) -> RunStorage:
        place = make_url(url)
        if place.host != "host":
            return real(url, beat, grace)
        assert place.password == "se/cret"
        return real(f"sqlite:///{tmp_path}/server.db", beat, grace)

    monkeypatch.setattr(storage, "_connect", opened)
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.mark.usefixtures("server")
def test_a_study_is_found_again_and_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    study = open_study(folder, CONFIGURATION, name="run").study
    assert study.user_attrs[CONFIG]["storage"] == WRITTEN
    everything = (folder / "config.yaml").read_text() + json.dumps(study.user_attrs)
    assert "cret" not in everything
    with pytest.raises(ValueError, match=rf"allowed: the whole URL in {ENVIRONMENT}$"):
        read_study(folder, "run")
    monkeypatch.setenv(ENVIRONMENT, URL)
    found, values = read_study(folder, "run")
    assert found.study_name == "run"
    again = open_study(folder, {**CONFIGURATION, "storage": values["storage"]}, name="run").study
    assert again.user_attrs[CONFIG] == study.user_attrs[CONFIG]


@pytest.mark.usefixtures("server")
def test_a_password_of_before_goes_when_the_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    study = open_study(folder, CONFIGURATION, name="run").study
    study.set_user_attr(CONFIG, CONFIGURATION)  # as it was once
    assert open_study(folder, CONFIGURATION, name="run").study.user_attrs[CONFIG]["storage"] == WRITTEN


@pytest.mark.usefixtures("server")
def test_the_commands_say_in_one_line_where_a_password_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    open_study(folder, CONFIGURATION, name="run")
    for command in ("resume", "report", "compare"):
        assert main([command, str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: storage: the password of {WRITTEN} is not kept; allowed: ")


@pytest.mark.usefixtures("server")
def test_the_default_is_where_the_folder_is_kept_else_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_storage(tmp_path / "new") is None
    monkeypatch.setenv(ENVIRONMENT, URL)
    assert default_storage(tmp_path / "new") == URL
    open_study(tmp_path / "own", {**CONFIGURATION, "storage": None})
    assert default_storage(tmp_path / "own") is None
    open_study(tmp_path / "shared", CONFIGURATION, name="shared")
    assert default_storage(tmp_path / "shared") == WRITTEN
