"""What the family of a run's model has: what is usual where a configuration says nothing, and what can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from experiments.config.parts import ModelConfig
from experiments.config.read import check_config
from experiments.config.schema import RunConfig, default_space, guidance_of
from experiments.config.setting import fabric_params, read_settings
from fabric.hosts.base import Host
from fabric.knobs import KNOBS, Knob
from fabric.models import EMBEDDED_MODELS
from fabric.outline import Outline
from fabric.params import FabricParams


class Usual(NamedTuple):
    """What a model generates with where nothing is said.

    Attributes:
        scheduler: its name.
        guidance: of plain images.
    """

    scheduler: str
    guidance: float


def usual(model: ModelConfig) -> Usual:
    """What is usual for a model's family; no weights are read.

    Raises:
        ValueError: the model is not to be had.
    """
    if model.name in EMBEDDED_MODELS:
        return Usual(ModelConfig().scheduler, guidance_of(model.name))
    outline = outline_of(model)
    return Usual(outline.scheduler, outline.host.guidance)


def family_knobs(model: ModelConfig) -> Mapping[str, Knob]:
    """The knobs that a model's family has, by name; no weights are read.

    Raises:
        ValueError: the model is not to be had.
    """
    return KNOBS if model.name in EMBEDDED_MODELS else outline_of(model).host.knobs


def outline_of(model: ModelConfig) -> Outline:
    """What a model's configurations tell of it."""
    return Outline(model.name, model.device, model.dtype, model.config)


def with_family(values: dict[str, Any]) -> RunConfig:
    """The configuration of plain values, with what is usual for its model's family where they say nothing.

    Raises:
        ValueError: something is wrong, the model is not to be had, or its family does not have what is asked for.
    """
    config = check_config(values)
    if config.model.name in EMBEDDED_MODELS:
        return config
    outline = outline_of(config.model)
    host, filled = outline.host, deepcopy(values)
    if "scheduler" not in config.model.model_fields_set and outline.scheduler != config.model.scheduler:
        filled["model"]["scheduler"] = outline.scheduler
    if config.protocol.guidance is None and host.guidance != config.guidance:
        filled["protocol"] = {**filled.get("protocol", {}), "guidance": host.guidance}
    if "space" not in values:
        filled["space"] = default_space(config.fixed, host.knobs)
    config = check_config(filled)
    check_family(config, host)
    return config


def check_family(config: RunConfig, host: Host) -> None:
    """Refuses what a model's family does not have.

    Raises:
        ValueError: the message is one line and names the place.
    """
    for part in ("space", "fixed"):
        for name in getattr(config, part):
            if name not in host.knobs:
                raise ValueError(f"{part}.{name}: {host.family} has no such knob; allowed: {', '.join(host.knobs)}")
    for name, sought in config.space.items():
        low, high = host.knobs[name].low, host.knobs[name].high
        if sought.low < low or sought.high > high:
            of_family = f"{low:g} to {high:g} with {host.family}"
            raise ValueError(f"space.{name}: {sought.low:g} to {sought.high:g}; allowed: {of_family}")
    given = {"protocol.guidance": FabricParams(guidance_scale=config.guidance)}
    given["fixed"] = FabricParams.from_dict({"guidance_scale": config.guidance, **config.fixed})
    given |= {f"known.{name}": fabric_params(read_settings(values)) for name, values in config.known.items()}
    for place, params in given.items():
        try:
            host.check(params)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    if config.model_space.scheduler and host.flow:
        raise ValueError(f"model_space.scheduler: {host.family} has its own scheduler alone; allowed: none")
    if config.protocol.rahf is not None and not host.projector.keeps_tokens:
        raise ValueError(f"protocol.rahf: {host.family} keeps no single tokens of a picture; allowed: none")
    for k, task in enumerate(config.prompts):
        try:
            host.check_negative(task.negative_prompt)
        except ValueError as error:
            raise ValueError(f"prompts.{k}: {error}") from error
