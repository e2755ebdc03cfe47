"""What a configuration stands for, resolved once: tasks, objectives, space, protocol, generator.

Everything that runs a configuration takes its plan: the optimisation, the forecast, the comparison, the report and the
benchmarks. What needs models is read when it is first asked for, so that a report reads none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from experiments.config.family import check_family
from experiments.config.parts import FilterConfig, ObjectiveConfig
from experiments.config.schema import RunConfig
from experiments.config.setting import read_settings
from experiments.embedded.measures import AttributeAgreement
from experiments.embedded.worlds import WORLDS
from experiments.run.artifacts import Artifacts, artifacts_of
from experiments.run.cached_generator import CachedGenerator
from experiments.run.feature_map import FabricFeatureMap
from experiments.run.kept_images import KeptImages
from experiments.run.library import LibrarySpace, read_library, with_library
from experiments.run.model_space import ModelSpace
from experiments.run.protocol import BestOf, Filter, Protocol, Task
from experiments.run.space import OtherSpace, Space, absent
from experiments.run.tasks import held_out_tasks, kept_tasks, run_tasks
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator
from fabric.models import checked_device, evaluations, load
from fabric.params import PRESETS, FabricParams, preset
from objectives.base import Objective
from objectives.checkpoints import MissingWeightsError
from objectives.combinators import Unit, combine
from objectives.registry import create
from objectives.shared import SharedModels
from optimizer.encoding import Encoding

_ALONE = 8  # pictures at most that are tried one by one
_KEPT = "images"  # folder of a run's output
_MEASURES = ("clip-liked", "clip-disliked", "diversity")


@dataclass(frozen=True)
class Plan:
    """A configuration, resolved.

    Attributes:
        config: of a run.
        tasks: what every setting is tried on; pictures are read.
        shared: one model for all objectives and measures that use it.
        given_held_out: what its comparison tries settings on, where somebody else has read the pictures already.
    """

    config: RunConfig
    tasks: tuple[Task, ...]
    shared: SharedModels = field(default_factory=SharedModels, repr=False, compare=False)
    given_held_out: tuple[Task, ...] | None = None

    @classmethod
    def of(cls, config: RunConfig) -> Plan:
        """The plan of a configuration, its pictures read.

        Raises:
            ValueError: a picture cannot be read; the message names it.
        """
        plan = cls(config, tuple(run_tasks(config)))
        return replace(plan, tasks=plan._with_library(plan.tasks))

    @classmethod
    def of_kept(cls, config: RunConfig, known: Sequence[Mapping[str, Any]]) -> Plan:
        """The plan of a run whose files are elsewhere, with the pictures that it kept; see `kept_tasks`.

        Raises:
            ValueError: a picture is not to be had here.
        """
        return cls(config, tuple(kept_tasks(config, known, artifacts_of(config))))

    @cached_property
    def artifacts(self) -> Artifacts:
        """Where the run's pictures lie.

        Raises:
            ValueError: what reaches them is not installed.
        """
        return artifacts_of(self.config)

    # What is tried, and how

    @cached_property
    def held_out_tasks(self) -> tuple[Task, ...]:
        """What the comparison tries settings on: other prompts where the configuration names some, else the run's own.

        Raises:
            ValueError: a picture cannot be read; the message names it.
        """
        if self.given_held_out is not None:
            return self.given_held_out
        return self._with_library(held_out_tasks(self.config, self.tasks))

    def _with_library(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """Tasks with the pictures of the library that are nearest to their prompts, where there is a library."""
        if (library := self.config.library) is None:
            return tuple(tasks)
        name, device = self.config.model.name, self._device
        pictures, embedder = read_library(library.pictures, name, device, self.shared, library.checkpoint)
        return with_library(tasks, pictures, embedder, library.most)

    @cached_property
    def protocol(self) -> Protocol:
        """How a setting is tried."""
        given = self.config.protocol
        size = None if given.size is None else (given.size[1], given.size[0])
        return Protocol(
            rounds=given.rounds,
            images=given.images,
            steps=given.steps,
            size=size,
            seed=given.seed,
            batch=given.batch,
            value=given.value,
            guidance=self.config.guidance,
            feedback=given.feedback,
            like_only=self._filter(given.like_only),
            rahf=None if given.rahf is None else self.shared.rahf(given.rahf, self._device),
        )

    def _filter(self, given: FilterConfig | None) -> Filter | None:
        """Which images may be liked; its model is read when it is first asked."""
        if given is None:
            return None
        return Filter(self._chooser(given.objective, self.tasks, "protocol.like_only"), given.at_least)

    @cached_property
    def held_out_best_of(self) -> BestOf | None:
        """How images are picked in an arm of the comparison, where there is one; its model is read when asked."""
        if (given := self.config.held_out.best_of) is None:
            return None
        return BestOf(given.count, self._chooser(given.objective, self.held_out_tasks, "held_out.best_of"))

    def _chooser(self, which: ObjectiveConfig, tasks: Sequence[Task], what: str) -> Objective:
        """An objective that chooses among images; its model is read when it is first asked."""
        (objective,) = self._checked([self._assembled(which)], tasks, "prompts", what)
        if objective.asks_people:
            raise ValueError(f"{what}: {objective.name} asks people; allowed: objectives that score by themselves")
        return objective

    @cached_property
    def held_out_protocol(self) -> Protocol:
        """How a comparison tries a setting: with other seeds."""
        return replace(self.protocol, seed=self.config.held_out.seed)

    # Which settings

    @cached_property
    def space(self) -> Space:
        """What is sought."""
        base = FabricParams.from_dict({"guidance_scale": self.config.guidance, **self.config.fixed})
        images = (*_ids(self.tasks, "liked"), *_ids(self.tasks, "disliked"))
        others: list[OtherSpace] = [ModelSpace(self.config.model_space, self.config.model)]
        if self.config.library is not None:
            others.append(LibrarySpace(self.config.library.most))
        return Space(self.config.space, base, images, others)

    @cached_property
    def feature_map(self) -> FabricFeatureMap:
        """What the model sees of settings."""
        several = self.config.protocol.rounds > 1 or self.config.library is not None
        return FabricFeatureMap(self.space, _ids(self.tasks, "liked"), _ids(self.tasks, "disliked"), several)

    @cached_property
    def encoding(self) -> Encoding:
        """Settings as points."""
        return Encoding(self.space.distributions, absent, self.feature_map)

    @cached_property
    def presets(self) -> dict[str, FabricParams]:
        """Fixed FABRIC: the authors' settings at the guidance of the run; no feedback is not among them."""
        steps = evaluations(self.config.model.scheduler, self.config.protocol.steps)
        guidance = self.config.guidance
        found = {name: replace(preset(name, steps), guidance_scale=guidance) for name in PRESETS}
        return {name: params for name, params in found.items() if params.strength > 0}

    @cached_property
    def known_settings(self) -> dict[str, FabricParams]:
        """What a run tries first, whoever proposes the rest, by name: presets, each given picture alone, what is known.

        Presets count all pictures alike, so where some mislead they are no better than no feedback, and their
        surroundings tell nothing of what would help; a picture alone tells whether it does. Alone means at the
        strength at which the authors come close to a target. Of many pictures none is tried alone, that would take the
        whole run.
        """
        images = self.space.images if len(self.space.images) <= _ALONE else ()
        strong = self.presets["paper-target"]
        names = {
            image: f"{kind} {place + 1} alone"
            for kind in ("liked", "disliked")
            for place, image in enumerate(_ids(self.tasks, kind))
        }
        alone = {
            names[image]: replace(strong, weights={other: float(other == image) for other in images})
            for image in images
        }
        others = {name: read_settings(values) for name, values in self.config.known.items()}
        return {**self.presets, **alone, **others}

    # What scores

    @cached_property
    def objectives(self) -> list[Objective]:
        """What an image is worth, M, their models read; checked against the tasks. None where people choose.

        Raises:
            ValueError: an objective is unknown, or the tasks lack what it needs.
        """
        return self._checked([self._objective(which) for which in self._scoring], self.tasks, "prompts")

    @property
    def _scoring(self) -> list[ObjectiveConfig]:
        """Objectives that score an image by itself: not people who choose between images."""
        return [which for which in self.config.objective if not self._chooses(which)]

    def _chooses(self, which: ObjectiveConfig) -> bool:
        return which.asks_people and self.config.people.by_choice

    @cached_property
    def stand_in(self) -> Objective | None:
        """What scores while people do not, its model read.

        Raises:
            ValueError: it is unknown, or the tasks lack what it needs.
        """
        if (which := self.config.people.stand_in) is None:
            return None
        objective = self._chooser(which, self.tasks, "people.stand_in")
        objective.prepare()
        return objective

    @cached_property
    def constraints(self) -> list[Objective]:
        """What settings must keep to, their models read; checked against the tasks.

        Raises:
            ValueError: an objective is unknown, or the tasks lack what it needs.
        """
        found = [self._objective(constraint.objective) for constraint in self.config.constraints]
        return self._checked(found, self.tasks, "prompts", "constraints")

    @property
    def asks_people(self) -> bool:
        """Whether people rate what is generated, in the run or in its comparison."""
        config = self.config
        constraints = (constraint.objective for constraint in config.constraints)
        return any(which.asks_people for which in (*config.objective, *constraints, *config.held_out.objectives))

    @cached_property
    def held_out_objectives(self) -> list[Objective]:
        """What a comparison scores, the run's objectives and constraints first; checked against the held-out tasks.

        Raises:
            ValueError: an objective is unknown, or the tasks lack what it needs.
        """
        held_out = self.config.held_out
        own = (*self.config.objective, *(constraint.objective for constraint in self.config.constraints))
        more = [which for which in held_out.objectives if which not in own and not self._chooses(which)]
        others = [self._objective(which) for which in more]
        place = "held_out.prompts" if held_out.prompts else "prompts"
        return self._checked([*self.objectives, *self.constraints, *others], self.held_out_tasks, place)

    @cached_property
    def measures(self) -> dict[str, Objective]:
        """What a comparison measures besides the objectives, as far as its weights are at hand."""
        found: dict[str, Objective] = {}
        for name in _MEASURES:
            objective = create(name, None, self._device, self.config.model.name, self.shared)
            try:
                objective.prepare()
            except MissingWeightsError:
                continue
            found[name] = objective
        has_targets = all(task.targets for task in self.held_out_tasks)
        if (world := WORLDS.get(self.config.model.name)) is not None and has_targets:
            judges = [AttributeAgreement(world, "stated"), AttributeAgreement(world, "unstated")]
            found |= {judge.name: judge for judge in judges}
        return found

    def _objective(self, which: ObjectiveConfig) -> Objective:
        """An objective, its model read."""
        objective = self._assembled(which)
        objective.prepare()
        return objective

    def _assembled(self, which: ObjectiveConfig) -> Objective:
        """An objective and the parts that it is made of."""
        if which.parts:
            objective = combine(which.name, [self._assembled(part) for part in which.parts], which.weights)
        else:
            device = which.device or self._device
            objective = create(which.name, which.checkpoint, device, self.config.model.name, self.shared)
        return objective if which.scale is None else Unit(objective, *which.scale)

    @property
    def _device(self) -> str:
        """Objectives score where images are generated."""
        return str(checked_device(self.config.model.device))

    @staticmethod
    def _checked(
        objectives: list[Objective], tasks: Sequence[Task], place: str, what: str = "objective"
    ) -> list[Objective]:
        """Objectives of which the tasks have what they need; feedback is what comes up in a session."""
        for objective in objectives:
            if feedback := sorted(objective.needs & {"liked", "disliked"}):
                # Every image is compared with the same one without feedback, which has none to be scored against.
                raise ValueError(
                    f"{what}: {objective.name} needs {' and '.join(feedback)} images, which plain images lack; "
                    "allowed: objectives that do without (comparisons report it as a measure)"
                )
            for k, task in enumerate(tasks):
                if "target" in objective.needs and not task.targets:
                    raise ValueError(
                        f"{place}.{k}.targets: none; {objective.name} needs a target picture for every prompt"
                    )
        return objectives

    # What generates

    def generator(self, protocol: Protocol | None = None) -> CachedGenerator:
        """Reads the model.

        Args:
            protocol: the run's by default.

        Raises:
            ValueError: the model is not to be had, or cannot do what the protocol asks for.
        """
        model, protocol = self.config.model, protocol or self.protocol
        pipeline = load(
            model.name,
            scheduler=model.scheduler,
            device=model.device,
            dtype=model.dtype,
            loras=tuple(model.loras.items()),
            config=model.config,
        )
        bank = ReferenceBank(offload=model.offload)
        fabric = FabricGenerator(pipeline, bank, reference_level=model.level, reference_layers=model.reference_layers)
        check_family(self.config, fabric.host)
        fabric.check(protocol.steps, protocol.size)
        kept = KeptImages(self.config.output / _KEPT, (protocol.steps, protocol.size)) if self.asks_people else None
        return CachedGenerator(fabric, protocol, model.loras, kept)

    def check(self, *, held_out: bool = True) -> None:
        """Reads and checks everything that a run and its comparison need besides the generator.

        Args:
            held_out: whether a comparison is to follow here.

        Raises:
            ValueError: something is not to be had, or tasks and objectives do not go together.
        """
        _ = self.objectives, self.constraints, self.stand_in, self.held_out_objectives if held_out else None
        if not held_out:
            return
        asked = [each.objective for each in (self.protocol.like_only, self.held_out_best_of) if each is not None]
        for model in (*asked, self.protocol.rahf):
            if model is not None:
                model.prepare()


def _ids(tasks: Sequence[Task], kind: str) -> tuple[str, ...]:
    """Ids of the given images of one sign, each once."""
    return tuple(dict.fromkeys(image.id for task in tasks for image in getattr(task, kind)))
