"""Parts of a run's configuration, each checked on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fabric.models import EMBEDDED, SCHEDULERS
from objectives.combinators import COMBINATIONS

Positive = Annotated[int, Field(ge=1, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """What all parts have: unknown keys are errors, and nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskConfig(Part):
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


class ScenesConfig(Part):
    """Hidden targets of the embedded model's world; prompts say shape, colour and background of them.

    Attributes:
        count: how many.
        seed: which.
        board: seed of a taste that all targets share, and of four pictures of it as feedback from the start, half of
            which mislead; by default every target is on its own, without feedback from the start.
    """

    count: Positive = 12
    seed: int = 0
    board: int | None = None


class ModelConfig(Part):
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


class ObjectiveConfig(Part):
    """What an image is worth; see `objectives.create` and `objectives.combine`.

    Attributes:
        name: built in, of a plug-in, or module:attribute; of one made of `parts` how they are combined.
        checkpoint: of its model.
        parts: objectives that it is made of.
        weights: one for each part; equal by default.
        scale: score that becomes 0 and score that becomes 1, so that parts of different scales can be combined.
    """

    name: str = "clip-target"
    checkpoint: str | None = None
    parts: tuple[ObjectiveConfig, ...] = ()
    weights: tuple[float, ...] | None = None
    scale: tuple[float, float] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        """A name alone is a short form."""
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _whole(self) -> ObjectiveConfig:
        """Combinations have parts, and only they have."""
        if bool(self.parts) != (self.name in COMBINATIONS):
            given = "parts given" if self.parts else "no parts"
            raise ValueError(f"{self.name}: {given}; allowed: parts with {', '.join(COMBINATIONS)}, and only with them")
        if self.weights is not None and not self.parts:
            raise ValueError(f"{self.name}: weights given; allowed: with parts")
        if self.checkpoint is not None and self.parts:
            raise ValueError(f"{self.name}: checkpoint given; allowed: one for each part")
        return self


class ProtocolConfig(Part):
    """How a setting is tried; see `experiments.run.protocol.Protocol`.

    Attributes:
        guidance: of plain images and of the presets; 7 as the authors', 4 for the embedded model.
        prune: whether clearly worse settings stop early, by a paired test against the best.
    """

    rounds: Positive = 3
    images: Positive = 4
    steps: Positive = 20
    size: tuple[Positive, Positive] | None = None
    seed: int = 0
    batch: Positive = 16
    value: Literal["last", "best", "all"] = "last"
    guidance: Annotated[float, Field(ge=1, le=20)] | None = None
    prune: bool = True


class StopConfig(Part):
    """When a run ends before its trials are used up; what is not given does not count.

    Attributes:
        images: generated at most, in all.
        minutes: at most, over all times that the run was taken up.
        chance: stop when the probability that some setting beats the recommended one by more than `margin` is less.
        margin: in units of the (first) objective.
        least: trials before `chance` counts; a model of few trials is too sure.
    """

    images: Positive | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    chance: Share | None = None
    margin: Annotated[float, Field(ge=0)] = 0.0
    least: Positive = 20


class HeldOutConfig(Part):
    """What the comparison uses; never seen by the run.

    Attributes:
        prompts: with their targets and feedback; the run's own if neither is given.
        scenes: instead of prompts.
        seed: of the images; differs from the protocol's.
        objectives: reported beside the run's own.
    """

    prompts: tuple[TaskConfig, ...] = ()
    scenes: ScenesConfig | None = None
    seed: int = 1
    objectives: tuple[ObjectiveConfig, ...] = ()


class RangeConfig(Part):
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
