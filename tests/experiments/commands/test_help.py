"""What `--help` says of every command."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from typing import get_args

import pytest

from experiments.cli import main
from experiments.commands import arguments, choices, page_arguments, run_arguments
from experiments.commands.help import HelpFormatter
from experiments.config.flags import _PLAIN
from experiments.config.schema import RunConfig
from experiments.run.protocol import Value
from fabric.knobs import KNOBS
from fabric.model_files import DTYPES
from fabric.models import EMBEDDED, OWN_SCHEDULER, SCHEDULERS
from fabric.params import PRESETS
from optimizer.samplers.baselines import SAMPLERS

DECLARE = {
    "generate": arguments.add_generate,
    "optimize": run_arguments.add_optimize,
    "resume": run_arguments.add_resume,
    "compare": arguments.add_compare,
    "report": arguments.add_report,
    "studio": page_arguments.add_studio,
    "rate": page_arguments.add_rate,
    "score": arguments.add_score,
    "objectives": arguments.add_objectives,
}


def _parser(declare: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(formatter_class=HelpFormatter)
    declare(parser)
    return parser


def _shown(*command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["generate", "optimize"])
def test_every_knob_is_explained_with_its_range_and_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(_shown(command, capsys=capsys).split())
    for name, knob in KNOBS.items():
        assert (f"--{name.replace('_', '-')} " if command == "generate" else f" {name} ") in shown
        assert f"{knob.meaning} {knob.effect} ({knob.range})" in shown


@pytest.mark.parametrize("command", DECLARE)
def test_help_ends_in_examples_that_the_command_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, examples = _shown(command, capsys=capsys).split("\nexamples:\n")
    lines = examples.strip().splitlines()
    for line in lines:
        assert line.strip().startswith(f"fabric-bo {command}")
        words = line.partition("#")[0].split('"')  # what is quoted is at odd places
        split = [word for k, part in enumerate(words) for word in ([part] if k % 2 else part.split())]
        _parser(DECLARE[command]).parse_args(split[2:])


@pytest.mark.parametrize("command", DECLARE)
def test_every_option_has_help_and_shows_its_default(command: str) -> None:
    parser = _parser(DECLARE[command])
    formatter = parser._get_formatter()
    for action in parser._actions:
        text = formatter._expand_help(action) if action.help else ""
        assert text, action.dest
        if action.default not in (None, False, "", [], argparse.SUPPRESS):
            assert f"default {action.default})" in text, action.dest


def test_defaults_of_a_run_are_those_of_the_configuration() -> None:
    parser = _parser(run_arguments.add_optimize)
    config = RunConfig(prompts=("x",)).model_dump(mode="json")  # type: ignore[arg-type]
    config["objective"] = config["objective"][0]["name"]
    texts = {action.dest: action.help or "" for action in parser._actions}
    for name, place in _PLAIN.items():
        value = config
        for part in place.split("."):
            value = value[part] if value is not None else None
        if value is not None:
            assert texts[name].endswith(f"(default {value})"), name
    assert f"(default {', '.join(config['space'])})" in texts["space"]


def test_names_that_options_accept_are_those_of_what_they_stand_for() -> None:
    assert choices.MODEL == EMBEDDED
    assert choices.PRESETS == PRESETS
    assert (*SCHEDULERS, OWN_SCHEDULER) == choices.SCHEDULERS
    assert tuple(DTYPES) == choices.DTYPES
    assert choices.SAMPLERS == SAMPLERS
    assert get_args(Value) == choices.VALUES


def test_help_loads_nothing_that_takes_seconds() -> None:
    code = (
        "import sys\nfrom experiments.cli import main\n"
        "try: main(['generate', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'diffusers', 'optuna', 'fastapi') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
