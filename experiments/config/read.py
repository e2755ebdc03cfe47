"""A configuration from a YAML file or from plain values, checked; what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from experiments.config.errors import checked
from experiments.config.schema import RunConfig


def read_config(path: Path) -> RunConfig:
    """Reads a YAML file; paths in it are relative to the folder that the command is run in.

    Raises:
        ValueError: it cannot be read or something in it is wrong; the message is one line and names the place.
    """
    return check_config(read_values(path))


def read_values(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, not yet checked.

    Raises:
        ValueError: it cannot be read, or is none; the message is one line.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"config: {path} cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise ValueError(f"config: {path} is not a mapping of names to values")
    return values


def check_config(values: dict[str, Any]) -> RunConfig:
    """A configuration of plain values.

    Raises:
        ValueError: something is wrong; the message is one line and names the place.
    """
    return checked(RunConfig, values)
