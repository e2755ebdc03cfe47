"""Results that are kept: what a benchmark or a comparison found, as a JSON file in `experiments/bench/results`.

Every benchmark writes one with `--results FILE`; `experiments.bench.runs` writes those of runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.files.atomic import atomic_write

FOLDER = Path(__file__).with_name("results")
_PLACES = ("results", "output")  # where files go is no part of what was measured


def add_results_option(parser: argparse.ArgumentParser) -> None:
    """Declares `--results`."""
    parser.add_argument("--results", type=Path, metavar="FILE", help="JSON file to write what was found to")


def read_results(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What was found.

    Args:
        name: of the file, without its ending.
        folder: of the files.

    Raises:
        ValueError: no such file, or none of JSON; the message is one line.
    """
    path = folder / f"{name}.json"
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"results: {path} cannot be read ({error}); allowed: a file of fabric-bo bench") from error
    return results


def write_results(path: Path, command: str, found: Mapping[str, Any]) -> None:
    """Writes what a command found, with when and on how many cores.

    Args:
        path: file to write.
        command: that gives it again.
        found: plain values.
    """
    recorded = f"{datetime.now():%Y-%m-%d}, {os.cpu_count()} CPU cores"
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps({"command": command, "recorded": recorded, **found}, indent=1) + "\n")


def command_line(
    name: str, add_arguments: Callable[[argparse.ArgumentParser], None], options: argparse.Namespace
) -> str:
    """The command that a benchmark was called by: its name, and the options that are not its defaults.

    Args:
        name: of the benchmark.
        add_arguments: declares its options.
        options: that it was called with.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["fabric-bo", "bench", name]
    for option, default in vars(parser.parse_args([])).items():
        value = getattr(options, option)
        if value == default or option in _PLACES:
            continue
        words.append(f"--{option.replace('_', '-')}")
        if value is not True:
            words += map(str, value if isinstance(value, list) else [value])
    return shlex.join(words)


def keep_results(
    name: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    options: argparse.Namespace,
    found: Mapping[str, Any],
) -> None:
    """Writes what a benchmark found where `--results` asks for it; see `write_results`.

    Args:
        name: of the benchmark.
        add_arguments: declares its options.
        options: that it was called with.
        found: plain values.
    """
    if options.results is not None:
        write_results(options.results, command_line(name, add_arguments, options), found)
