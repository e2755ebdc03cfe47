"""Results are kept with the command that gives them again."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest

from experiments.bench.kept import add_results_option, command_line, read_results, write_results

BENCHES = ("artist", "generation", "optimizer", "samplers", "studio")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--by-name", default="gp")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("runs"))
    add_results_option(parser)


def _command(*arguments: str) -> str:
    parser = argparse.ArgumentParser()
    _add_arguments(parser)
    return command_line("demo", _add_arguments, parser.parse_args(arguments))


def test_the_command_has_what_differs_from_the_defaults_and_no_place() -> None:
    assert _command() == "fabric-bo bench demo"
    assert _command("--trials", "30", "60", "--results", "a.json", "--output", "b") == "fabric-bo bench demo"
    assert _command("--by-name", "t pe", "--trials", "5", "6", "--fast") == (
        "fabric-bo bench demo --trials 5 6 --by-name 't pe' --fast"
    )


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_results(tmp_path / "demo.json", "fabric-bo bench demo", {"values": [0.25, None]})
    found = read_results("demo", tmp_path)
    assert (found["command"], found["values"]) == ("fabric-bo bench demo", [0.25, None])
    assert "CPU cores" in found["recorded"]


@pytest.mark.parametrize("text", [None, "{"])
def test_results_that_are_missing_or_broken_are_one_line(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "demo.json").write_text(text)
    with pytest.raises(ValueError, match=r"^results: .*demo\.json cannot be read .*; allowed: a file of fabric-bo"):
        read_results("demo", tmp_path)


@pytest.mark.parametrize("name", BENCHES)
def test_every_benchmark_can_keep_its_results(name: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(f"experiments.bench.{name}").add_arguments(parser)
    assert parser.parse_args(["--results", "found.json"]).results == Path("found.json")
