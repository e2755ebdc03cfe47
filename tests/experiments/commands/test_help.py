"""What `--help` shows of every command."""

from __future__ import annotations

import pytest

from experiments.cli import main
from fabric.knobs import KNOBS


def _help(*command: str) -> str:
    """In one line, as the terminal's width breaks it where it likes."""
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    return ""


def test_generate_says_of_every_knob_what_it_is_and_does(capsys: pytest.CaptureFixture[str]) -> None:
    _help("generate")
    shown = " ".join(capsys.readouterr().out.split())
    for name, knob in KNOBS.items():
        assert f"--{name.replace('_', '-')} " in shown
        assert f"{knob.meaning} {knob.effect} ({knob.range})" in shown
