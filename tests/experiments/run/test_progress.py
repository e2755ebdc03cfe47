"""What a running command shows, on a terminal of 80 columns and without one."""

from __future__ import annotations

import io
import logging
import re
import sys
import warnings
from types import SimpleNamespace

import pytest

from experiments.run.progress import Progress, TrialProgress, in_words


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr("experiments.run.progress.time", SimpleNamespace(monotonic=clock))
    return clock


def _terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """Of 80 columns, in stderr's place; not a fixture, as pytest puts its own there before a test."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    return terminal


def _lines(terminal: _Terminal) -> list[str]:
    """All states of the line that changes, and lines that stay."""
    return [part.rstrip() for part in terminal.getvalue().replace("\n", "\r").split("\r") if part.strip()]


def _last(terminal: _Terminal) -> str:
    return _lines(terminal)[-1]


def test_it_says_at_once_what_it_is_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    with Progress() as progress:
        progress.doing("loading the model")
        assert _last(terminal) == "loading the model …"
    assert terminal.getvalue().endswith("\r")  # and leaves nothing behind


def test_a_run_is_one_line_that_fits(monkeypatch: pytest.MonkeyPatch, clock: _Clock) -> None:
    terminal = _terminal(monkeypatch)
    with Progress() as progress:
        trials = TrialProgress(progress, trials=30, done=0, prompts=8, rounds=3)
        for number in range(6):
            trials.proposed(1)
            clock.now += 12
            trials.prompts(8)
            trials.finished(number + 1, 0.123456)
        trials.proposed(1)
        trials.prompts(2)
        trials.round()
        bar, _, text = _last(terminal).partition(" trial")
    assert f"trial{text}" == "trial 7/30 · prompt 3/8 · round 2/3 · best +0.123 · 5 min left"
    assert set(bar) <= set("▏▎▍▌▋▊▉█#123456789 ")
    assert max(map(len, _lines(terminal))) <= 80


def test_trials_at_once_and_those_of_before_count(monkeypatch: pytest.MonkeyPatch, clock: _Clock) -> None:
    terminal = _terminal(monkeypatch)
    with Progress() as progress:
        trials = TrialProgress(progress, trials=20, done=10, prompts=2, rounds=1)
        trials.proposed(3)
        assert "trials 11-13/20 · prompt 1/2 · round 1/1" in _last(terminal)
        clock.now += 30
        trials.prompts(1)
        assert "prompt 2/2 · round 1/1 · 3 min left" in _last(terminal)  # 1.5 of 10 took 30 s


def test_a_run_that_may_take_a_minute_has_no_hour_left(monkeypatch: pytest.MonkeyPatch, clock: _Clock) -> None:
    terminal = _terminal(monkeypatch)
    with Progress() as progress:
        trials = TrialProgress(progress, trials=1000, done=0, prompts=1, rounds=1, at_most=60)
        trials.proposed(1)
        clock.now += 20
        trials.prompts(1)
        assert "40 s left" in _last(terminal)


def test_warnings_and_messages_stay_above_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with Progress() as progress:
            progress.doing("loading the model")
            progress.say("stopped after 3 trials")
            logging.getLogger("experiments").warning("trial 3 failed")
            assert {"stopped after 3 trials\n", "trial 3 failed\n"} <= set(re.split(r"\r|(?<=\n)", terminal.getvalue()))
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_warning_is_one_line_without_the_code_that_it_comes_from(caplog: pytest.LogCaptureFixture) -> None:
    before = warnings.formatwarning
    with warnings.catch_warnings(), Progress():
        warnings.simplefilter("always")
        warnings.warn("this is\n  deprecated", UserWarning, stacklevel=1)
    assert [record.getMessage() for record in caplog.records] == ["this is deprecated"]
    assert warnings.formatwarning is before


def test_without_a_terminal_there_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], clock: _Clock
) -> None:
    with Progress() as progress:
        progress.doing("loading the model")
        progress.begin(100)
        for done in range(1, 31):
            clock.now += 1
            progress.at(done, f"image {done}/100")
    assert capsys.readouterr().err.splitlines() == [
        "image 10/100 · 2 min left",
        "image 20/100 · 1 min left",
        "image 30/100 · 1 min left",
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_quiet_shows_warnings_only(is_terminal: bool, monkeypatch: pytest.MonkeyPatch, clock: _Clock) -> None:
    stream = _Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(quiet=True) as progress:
        progress.doing("loading the model")
        clock.now += 60
        progress.begin(3)
        progress.at(1, "image 1/3")
        progress.say("stopped")
        progress.warn("warning: cut")
    assert stream.getvalue() == "warning: cut\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3500, "58 min"), (3599, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_time_is_said_to_what_matters(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
