"""The configuration of an optimisation run: a YAML file, checked field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fabric.models import EMBEDDED, SCHEDULERS
from fabric.params import FabricParams

Positive = Annotated[int, Field(ge=1, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskConfig(_Part):
    """One prompt.

    Attributes:
        prompt: what is asked for.
        targets: files or folders of pictures to come close to.
        liked: files or folders of feedback given from the start.
        disliked: likewise.
        negative_prompt: for the unconditional pass.
    """

    prompt: str
    targets: tuple[Path, ...] = ()
    liked: tuple[Path, ...] = ()
    disliked: tuple[Path, ...] = ()
    negative_prompt: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        """A prompt alone is a short form."""
        return {"prompt": given} if isinstance(given, str) else given


class ScenesConfig(_Part):
    """Hidden targets of the embedded model's world; prompts say shape, colour and background of them.

    Attributes:
        count: how many.
        seed: which.
    """

    count: Positive = 12
    seed: int = 0


class ModelConfig(_Part):
    """What generates; see `fabric.models.load`."""

    name: str = EMBEDDED
    scheduler: str = "euler-a"
    device: str | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    loras: dict[str, float] = {}
    config: str | None = None
    offload: bool = False

    @field_validator("scheduler")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SCHEDULERS:
            raise ValueError(f"{name!r} is unknown; allowed: {', '.join(SCHEDULERS)}")
        return name


class ObjectiveConfig(_Part):
    """What an image is worth; see `objectives.registry.create`.

    Attributes:
        name: built in, of a plug-in, or module:attribute.
        checkpoint: of its model.
        gain: whether the score of the same prompt and seed without feedback is taken off.
    """

    name: str = "clip-target"
    checkpoint: str | None = None
    gain: bool = False


class ProtocolConfig(_Part):
    """How a setting is tried; see `experiments.rounds.Protocol`."""

    rounds: Positive = 3
    images: Positive = 4
    steps: Positive = 20
    size: tuple[Positive, Positive] | None = None
    seed: int = 0
    batch: Positive = 16
    value: Literal["last", "best", "all"] = "last"


class RangeConfig(_Part):
    """Where a parameter is sought.

    Attributes:
        low: least value.
        high: greatest value.
        log: whether by the logarithm.
    """

    low: float
    high: float
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        """`[low, high]` and `[low, high, log]` are short forms."""
        if isinstance(given, list) and len(given) in (2, 3) and given[2:] in ([], ["log"]):
            return {"low": given[0], "high": given[1], "log": len(given) == 3}
        return given

    @model_validator(mode="after")
    def _ordered(self) -> RangeConfig:
        if not self.low < self.high:
            raise ValueError(f"from {self.low:g} to {self.high:g}; allowed: low < high")
        if self.log and self.low <= 0:
            raise ValueError(f"from {self.low:g} by the logarithm; allowed: low above 0")
        return self


def _default_space() -> dict[str, RangeConfig]:
    return {
        "strength": RangeConfig(low=0.05, high=8, log=True),
        "neg_scale": RangeConfig(low=0, high=2),
        "start": RangeConfig(low=0, high=1),
        "end": RangeConfig(low=0, high=1),
        "bottleneck": RangeConfig(low=0, high=2),
        "recency": RangeConfig(low=0, high=1),
        "crowding": RangeConfig(low=0, high=1),
        "guidance_scale": RangeConfig(low=1.5, high=8),
    }


class RunConfig(_Part):
    """A whole run.

    Attributes:
        prompts: with their targets and feedback.
        scenes: instead of prompts, hidden targets of the embedded model's world.
        model: what generates.
        objective: what an image is worth.
        protocol: how a setting is tried.
        space: which parameters are sought, and where.
        fixed: values of others; the rest have their defaults.
        trials: how many settings are tried.
        seed: of the sampler.
        output: folder of study, images and report.
    """

    prompts: tuple[TaskConfig, ...] = ()
    scenes: ScenesConfig | None = None
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    protocol: ProtocolConfig = ProtocolConfig()
    space: dict[str, RangeConfig] = Field(default_factory=_default_space)
    fixed: dict[str, float] = {}
    trials: Positive = 30
    seed: int = 0
    output: Path = Path("runs/optimize")

    @model_validator(mode="after")
    def _something_to_do(self) -> RunConfig:
        if bool(self.prompts) == (self.scenes is not None):
            given = "both" if self.prompts else "neither"
            raise ValueError(f"prompts, scenes: {given} given; allowed: one or more prompts, or scenes")
        return self

    @model_validator(mode="after")
    def _parameters(self) -> RunConfig:
        """Every parameter exists, is within its range, and is either sought or fixed."""
        bounds = FabricParams.bounds()
        for part, names in (("space", self.space), ("fixed", self.fixed)):
            for name in names:
                if name not in bounds:
                    raise ValueError(f"{part}.{name}: unknown parameter; allowed: {', '.join(bounds)}")
        if both := self.space.keys() & self.fixed.keys():
            raise ValueError(f"fixed.{min(both)}: is sought in space as well; allowed: one of them")
        for name, sought in self.space.items():
            low, high = bounds[name]
            if sought.low < low or sought.high > high:
                raise ValueError(f"space.{name}: {sought.low:g} to {sought.high:g}; allowed: {low:g} to {high:g}")
        FabricParams.from_dict(self.fixed)
        if not self.space:
            raise ValueError("space: no parameters; allowed: one or more")
        return self


def read_config(path: Path) -> RunConfig:
    """Reads a YAML file; paths in it are relative to the folder that the command is run in.

    Raises:
        ValueError: it cannot be read or something in it is wrong; the message is one line and names the place.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"config: {path} cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise ValueError(f"config: {path} is not a mapping of names to values")
    return check_config(values)


def check_config(values: dict[str, Any]) -> RunConfig:
    """A configuration of plain values.

    Raises:
        ValueError: something is wrong; the message is one line and names the place.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ValueError(_in_one_line(error)) from error


def _in_one_line(error: ValidationError) -> str:
    """The first complaint, with its place and value; how many more there are."""
    complaints = error.errors()
    first = complaints[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] != "value_error":
        message = f"{first['input']!r}: {message}"
    more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
    return f"{place}: {message}{more}" if place else f"{message}{more}"
