"""The configuration of an optimisation run: a YAML file, checked field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from experiments.config.parts import (
    ConstraintConfig,
    HeldOutConfig,
    LibraryConfig,
    ModelConfig,
    ModelSpaceConfig,
    ObjectiveConfig,
    Part,
    PeopleConfig,
    Positive,
    ProtocolConfig,
    RangeConfig,
    ScenesConfig,
    StopConfig,
    TaskConfig,
)
from experiments.config.places import check_place
from experiments.config.setting import read_settings
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.worlds import WORLDS
from fabric.knobs import KNOBS
from fabric.models import EMBEDDED_MODELS
from fabric.params import BY_PICTURE, FabricParams
from optimizer.samplers.baselines import SAMPLERS

_GUIDANCE = dict.fromkeys(EMBEDDED_MODELS, 4.0)  # of plain images; other models have the authors' 7


_SPACE: dict[str, list[float | str]] = {
    "strength": [0.05, 8, "log"],
    "neg_scale": [0, 2],
    "start": [0, 1],
    "end": [0, 1],
    "bottleneck": [0, 2],
    "recency": [0, 1],
    "crowding": [0, 1],
    "prompt_dropout": [0, 0.5],
    "guidance_scale": [1.5, 8],
}


def default_space(fixed: Mapping[str, Any], knobs: Iterable[str] = KNOBS) -> dict[str, list[Any]]:
    """What is sought where a configuration does not say: nothing that is fixed, and no window that ends before it.

    Args:
        fixed: knobs with their values.
        knobs: names of those that the model's family has.
    """
    space = {name: sought for name, sought in _SPACE.items() if name in knobs and name not in fixed}
    if "start" in fixed and "end" in space:
        space["end"] = [fixed["start"], 1]
    if "end" in fixed and "start" in space:
        space["start"] = [0, fixed["end"]]
    return space


class RunConfig(Part):
    """A whole run.

    Attributes:
        prompts: with their targets and feedback.
        scenes: instead of prompts, hidden targets of the world.
        world: of hidden targets; by default the one that the model knows, scenes where it is no embedded one.
        model: what generates.
        objective: what an image is worth; several make a front. The first chooses what is liked and disliked.
        constraints: what a setting must keep to; what is recommended does so with 95 %, where anything does.
        protocol: how a setting is tried.
        space: which parameters are sought, and where; `weights` and `timing` are those of each given feedback image.
        library: pictures of which the nearest to each prompt are liked; how many and how much each counts is sought.
        model_space: what of the model is sought besides.
        known: settings by name that are tried first, after the presets and pictures alone; what other runs recommended.
        fixed: values of others; the rest have their defaults.
        sampler: what proposes.
        trials: how many settings are tried.
        replicate: share of the trials, at the end, that try the best settings again with other seeds, so that what is
            recommended is not the luckiest.
        at_once: settings that are proposed together and share batches.
        workers: processes, each with a GPU of its own where there are any, that try settings side by side; more than
            one are placed by Ray.
        stop: other ends.
        people: how those are asked who rate images, where an objective is `human`.
        held_out: what the comparison uses.
        seed: of the sampler.
        storage: URL of the study, `sqlite:///` in the output by default; `postgresql://` of a server or `grpc://` of
            `fabric-bo serve-storage` for several machines.
        study: name of the study in its storage; by default that of the output's folder where runs share a storage.
        artifacts: where pictures are kept, a folder in the output by default; `s3://BUCKET/PREFIX` or
            `gs://BUCKET/PREFIX` for several machines.
        output: folder of study, images and report.
    """

    prompts: tuple[TaskConfig, ...] = ()
    scenes: ScenesConfig | None = None
    world: Literal["scenes", "emoji"] | None = None
    model: ModelConfig = ModelConfig()
    objective: tuple[ObjectiveConfig, ...] = (ObjectiveConfig(),)
    constraints: tuple[ConstraintConfig, ...] = ()
    protocol: ProtocolConfig = ProtocolConfig()
    space: dict[str, RangeConfig] = Field(default_factory=dict)
    library: LibraryConfig | None = None
    model_space: ModelSpaceConfig = ModelSpaceConfig()
    fixed: dict[str, float] = Field(default_factory=dict)
    known: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sampler: str = SAMPLERS[0]
    trials: Positive = 30
    replicate: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    at_once: Positive = 1
    workers: Positive = 1
    stop: StopConfig = StopConfig()
    people: PeopleConfig = PeopleConfig()
    held_out: HeldOutConfig = HeldOutConfig()
    seed: int = 0
    storage: str | None = None
    study: Annotated[str, Field(min_length=1)] | None = None
    artifacts: Annotated[str, Field(min_length=1)] | None = None
    output: Path = Path("runs/optimize")

    @model_validator(mode="before")
    @classmethod
    def _with_default_space(cls, given: Any) -> Any:
        """Fills in the space where there is none."""
        if not isinstance(given, dict) or "space" in given or not isinstance(given.get("fixed", {}), dict):
            return given
        return {**given, "space": default_space(given.get("fixed", {}))}

    @field_validator("objective", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return given if isinstance(given, list | tuple) else [given]

    @field_validator("objective")
    @classmethod
    def _distinct(cls, given: tuple[ObjectiveConfig, ...]) -> tuple[ObjectiveConfig, ...]:
        names = [image.name for image in given]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names) or 'none'}; allowed: one or more, each once")
        return given

    @field_validator("artifacts")
    @classmethod
    def _place(cls, given: str | None) -> str | None:
        if given is not None:
            check_place(given)
        return given

    @field_validator("known")
    @classmethod
    def _settings(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, values in given.items():
            try:
                read_settings(values)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {error}") from error
        return given

    @field_validator("sampler")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SAMPLERS:
            raise ValueError(f"{name!r} is unknown; allowed: {', '.join(SAMPLERS)}")
        return name

    @model_validator(mode="after")
    def _something_to_do(self) -> RunConfig:
        if bool(self.prompts) == (self.scenes is not None):
            given = "both" if self.prompts else "neither"
            raise ValueError(f"prompts, scenes: {given} given; allowed: one or more prompts, or scenes")
        if self.held_out.prompts and self.held_out.scenes is not None:
            raise ValueError("held_out.prompts, held_out.scenes: both given; allowed: one of them, or neither")
        if self.world is not None and self.scenes is None and self.held_out.scenes is None:
            raise ValueError(f"world: {self.world} given without hidden targets; allowed: with scenes")
        if self.held_out.seed == self.protocol.seed:
            raise ValueError(f"held_out.seed: {self.held_out.seed} is the run's; allowed: another")
        for place, tasks in {"prompts": self.prompts, "held_out.prompts": self.held_out.prompts}.items():
            prompt, times = Counter([task.prompt for task in tasks] or [""]).most_common(1)[0]
            if times > 1:  # seeds depend on the prompt, so the second would tell nothing new
                raise ValueError(f"{place}: {prompt!r} is there {times} times; allowed: each prompt once")
        return self

    @model_validator(mode="after")
    def _one_objective_one_name(self) -> RunConfig:
        """Scores are kept by an objective's name, so another of the same name would replace the run's."""
        for place, constraint in enumerate(self.constraints):
            others = (*self.objective, *(other.objective for other in self.constraints[:place]))
            if any(constraint.name == other.name for other in others):
                raise ValueError(f"constraints.{place}: {constraint.name} is there already; allowed: another objective")
        for place, other in enumerate(self.held_out.objectives):
            own = (*self.objective, *(constraint.objective for constraint in self.constraints))
            namesakes = (*own, *self.held_out.objectives[:place])
            if other not in own and any(objective.name == other.name for objective in namesakes):
                raise ValueError(
                    f"held_out.objectives.{place}: another {other.name} is scored too; allowed: one objective of a name"
                )
        return self

    @model_validator(mode="after")
    def _stood_in_for(self) -> RunConfig:
        """A score stands in for people's ratings alone."""
        if (stand_in := self.people.stand_in) is None:
            return self
        if self.people.by_choice or self.objective != (ObjectiveConfig(name="human"),) or self.constraints:
            raise ValueError(f"people.stand_in: {stand_in.name}; allowed: with stars of human as the only objective")
        if stand_in.asks_people:
            raise ValueError(f"people.stand_in: {stand_in.name} asks people; allowed: what scores by itself")
        return self

    @model_validator(mode="after")
    def _chosen_by_people(self) -> RunConfig:
        """Choices have no scale, so they are a run's whole objective or none of it."""
        kind, alone = self.people.kind, ObjectiveConfig(name="human")
        if not self.people.by_choice:
            return self
        constraints = [constraint.objective for constraint in self.constraints]
        for objective in (*self.objective, *constraints, *self.held_out.objectives):
            if objective.asks_people and objective != alone:
                raise ValueError(f"people.kind: {kind} of {objective.name}; allowed: stars, or human by itself")
        if alone in constraints or (alone in self.objective and (len(self.objective) > 1 or constraints)):
            raise ValueError(f"people.kind: {kind} beside scores; allowed: stars, or human as the only objective")
        if alone in self.objective and self.protocol.rounds > 1:
            raise ValueError(
                f"people.kind: {kind} with protocol.rounds {self.protocol.rounds}; allowed: stars, or 1 round"
            )
        return self

    @model_validator(mode="after")
    def _parameters(self) -> RunConfig:
        """Every parameter exists, is within its range, and is either sought or fixed."""
        bounds = FabricParams.bounds()
        for part, names in (("space", {**self.space}), ("fixed", {**self.fixed})):
            allowed = [*bounds, *BY_PICTURE] if part == "space" else list(bounds)
            for name in names:
                if name not in allowed:
                    raise ValueError(f"{part}.{name}: unknown parameter; allowed: {', '.join(allowed)}")
        if both := self.space.keys() & self.fixed.keys():
            raise ValueError(f"fixed.{min(both)}: is sought in space as well; allowed: one of them")
        for name, sought in self.space.items():
            low, high = KNOBS[name].low, KNOBS[name].high
            if sought.low < low or sought.high > high:
                raise ValueError(f"space.{name}: {sought.low:g} to {sought.high:g}; allowed: {low:g} to {high:g}")
        FabricParams.from_dict(self.fixed)
        self._check_window()
        if not self.space:
            raise ValueError("space: no parameters; allowed: one or more")
        given = any(task.liked or task.disliked for task in self.prompts) or (
            self.scenes is not None and self.scenes.board is not None
        )
        for name in BY_PICTURE:
            if name in self.space and not given:
                raise ValueError(
                    f"space.{name}: no feedback images are given; allowed: with liked or disliked in prompts"
                )
        return self

    @model_validator(mode="after")
    def _of_the_model(self) -> RunConfig:
        """What is sought of the model is there, and what it is by default can be sought."""
        sought, model = self.model_space, self.model
        if sought.scheduler and model.scheduler not in sought.scheduler:
            raise ValueError(
                f"model_space.scheduler: {model.scheduler} is not among them; allowed: the model's, and others"
            )
        if sought.loras is not None and not model.loras:
            raise ValueError("model_space.loras: given without LoRAs; allowed: with model.loras")
        return self

    def _check_window(self) -> None:
        """Where one end of the window is sought, every value makes a window; where both are, some do."""
        start, end = (self.fixed.get(name, getattr(FabricParams(), name)) for name in ("start", "end"))
        sought = self.space.keys() & {"start", "end"}
        if sought == {"start"} and self.space["start"].high > end:
            raise ValueError(f"space.start: up to {self.space['start'].high:g}; allowed: up to the end, {end:g}")
        if len(sought) == 2 and self.space["start"].low > self.space["end"].high:
            ends = f"from the least start, {self.space['start'].low:g}"
            raise ValueError(f"space.end: up to {self.space['end'].high:g}; allowed: {ends}")
        if sought == {"end"} and self.space["end"].low < start:
            raise ValueError(f"space.end: from {self.space['end'].low:g}; allowed: from the start, {start:g}")

    @property
    def chosen_by_people(self) -> bool:
        """Whether the objective is what people choose, and nothing has a score."""
        return self.people.by_choice and self.objective[0].asks_people

    @property
    def world_of_targets(self) -> str:
        """See `world`."""
        known = WORLDS.get(self.model.name, SCENES)
        return self.world or known.name

    @property
    def replications(self) -> int:
        """Trials that try the best settings again."""
        return int(self.replicate * self.trials)

    @property
    def guidance(self) -> float:
        """Of plain images and of the presets."""
        return self.protocol.guidance or guidance_of(self.model.name)


def guidance_of(model: str) -> float:
    """Of a model's plain images, where nothing else is said."""
    return _GUIDANCE.get(model, 7.0)
