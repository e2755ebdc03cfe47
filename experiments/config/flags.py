"""A run's configuration from the command line: a YAML file, flags, or both, of which flags win."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from experiments.config.family import with_family
from experiments.config.read import read_values
from experiments.config.schema import RunConfig

_PLAIN = {
    "model": "model.name",
    "scheduler": "model.scheduler",
    "device": "model.device",
    "rounds": "protocol.rounds",
    "images": "protocol.images",
    "steps": "protocol.steps",
    "value": "protocol.value",
    "scenes": "scenes.count",
    "world": "world",
    "sampler": "sampler",
    "trials": "trials",
    "seed": "seed",
    "workers": "workers",
    "storage": "storage",
    "output": "output",
    "objective": "objective",
    "max_images": "stop.images",
    "minutes": "stop.minutes",
}


def config_of(options: argparse.Namespace) -> RunConfig:
    """The configuration that options stand for.

    Raises:
        ValueError: something is wrong; the message is one line and names the place.
    """
    values = read_values(options.config) if options.config else {}
    for name, place in _PLAIN.items():
        if (given := getattr(options, name)) is not None:
            _put(values, place, given)
    if options.prompt:
        extra = {"targets": options.target, "liked": options.liked, "disliked": options.disliked}
        given = {name: files for name, files in extra.items() if files}
        values["prompts"] = [{"prompt": prompt, **given} for prompt in options.prompt]
        values.pop("scenes", None)
    elif options.target or options.liked or options.disliked:
        raise ValueError("target, liked, disliked: belong to --prompt, which is not given")
    if options.space:
        values["space"] = dict(_range(text) for text in options.space)
    if options.fix:
        values["fixed"] = dict(_pair("fix", text) for text in options.fix)
    for text in options.set:
        place, value = _pair("set", text)
        _put(values, place, value)
    return with_family(values)


def _put(values: dict[str, Any], place: str, value: Any) -> None:
    """Sets a value at a dotted place."""
    *parts, last = place.split(".")
    for part in parts:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ValueError(f"{place}: {part} is no mapping of names to values")
    values[last] = value


def _pair(option: str, text: str) -> tuple[str, Any]:
    """Name and value of `NAME=VALUE`, the value as YAML reads it."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"{option}: {text!r} is not NAME=VALUE")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value


def _range(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    low, *rest = value.split(":")
    try:
        if not equals or len(rest) not in (1, 2) or rest[1:] not in ([], ["log"]):
            raise ValueError
        return name, [float(low), float(rest[0]), *rest[1:]]
    except ValueError:
        raise ValueError(f"space: {text!r} is not NAME=LOW:HIGH or NAME=LOW:HIGH:log") from None
