"""What a run found, read off its study: trials, what the model believes, how that came about.

Notation:
    n: trials that say something, M: objectives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from experiments.comparison.compare import read_comparison
from experiments.comparison.result import Comparison
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.config.setting import model_state, read_settings
from experiments.report.given import given_of, label, plan_of
from experiments.run.space import absent
from experiments.run.stopping import finished
from experiments.run.study import knobs_of, read_study
from experiments.run.trials import PARAMS
from fabric.params import BY_PICTURE, FabricParams
from optimizer.encoding import Encoding
from optimizer.observations import observe, relative_space
from optimizer.recommendation import FittedModel, Recommendation, fit_model, pareto
from optimizer.samplers.known_first import place_of
from optimizer.samplers.model_based import design_size
from optimizer.samplers.proposals import is_own
from optimizer.sensitivity import Slice, importance, slices

Phase = Literal["preset", "design", "search", "given"]
_MOMENTS = 20  # at which the model is fitted again, to show how its recommendation came about


@dataclass(frozen=True)
class Tried:
    """A trial that says something.

    Attributes:
        number: of it.
        phase: a preset, one of the design (pictures alone, then Sobol points), proposed by the sampler, or given by
            others (enqueued, or added to the study).
        preset: its name, as near as the space can express it.
        exact: whether the space can express that preset.
        pruned: whether it stopped early.
        values: M gains over no feedback; of choices the utility, as the model believes.
        errors: M standard errors of them, NaN where unknown.
        shares: where it lies within the range of each parameter, 0 to 1.
        params: settings.
    """

    number: int
    phase: Phase
    preset: str | None
    exact: bool
    pruned: bool
    values: list[float]
    errors: list[float]
    shares: dict[str, float]
    params: FabricParams


@dataclass(frozen=True)
class Moment:
    """What the model recommended after some trials.

    Attributes:
        number: of the last of them.
        best: the recommended setting.
    """

    number: int
    best: Recommendation


class Findings:
    """A run, as far as it got.

    Args:
        folder: of the run.
        config: of it.
        study: of it.
        comparison: on held-out prompts, where there is one.

    Attributes:
        plan: of the configuration.
        objectives: M names.
        encoding: of the parameters that were sought.
        observations: what the model learns from.
        presets: fixed FABRIC, by name.
        knobs: that the model's family has, by name.
        tasks: of the run, as far as their pictures are to be had.
        given: feedback from the start.
        tried: n trials, in the order of `observations`.
    """

    def __init__(self, folder: Path, config: RunConfig, study: Study, comparison: Comparison | None) -> None:
        self.folder = folder
        self.config = config
        self.plan = plan_of(config, study)
        self.study = study
        self.comparison = comparison
        self.objectives = [objective.name for objective in config.objective]
        self._finished = finished(study)
        self.tasks = list(self.plan.tasks)
        self._known = len(self.plan.known_settings)
        self.encoding = Encoding(relative_space(self._finished, absent), absent, self.plan.feature_map)
        self.observations = observe(study, self._finished, self.encoding)
        if not len(self.observations.Y):
            raise ValueError(
                f"report: {folder} holds no finished trial; allowed: one or more (fabric-bo resume {folder})"
            )
        self.presets = self.plan.presets
        self.knobs = knobs_of(study)
        self.given = given_of(self.tasks)
        self.tried = self._tried()

    @cached_property
    def models(self) -> list[FittedModel]:
        """The model of each objective, M."""
        return [fit_model(self.observations.objective(m)) for m in range(len(self.objectives))]

    @cached_property
    def importances(self) -> list[dict[str, float]]:
        """How much each parameter matters for each objective, M."""
        return [importance(fitted, self.encoding) for fitted in self.models]

    @cached_property
    def slices(self) -> list[list[Slice]]:
        """The model along each parameter, the one that matters most first, M."""
        return [
            sorted(slices(fitted, self.encoding), key=lambda slice_: -weight[slice_.name])
            for fitted, weight in zip(self.models, self.importances, strict=True)
        ]

    @cached_property
    def front(self) -> list[tuple[Recommendation, ...]]:
        """Settings of which none is better in everything; empty with one objective."""
        return pareto(self.observations) if len(self.objectives) > 1 else []

    @property
    def recommended(self) -> tuple[Recommendation, FabricParams] | None:
        """The setting to use; None with several objectives."""
        if len(self.objectives) > 1:
            return None
        best = self.models[0].recommendation
        return best, self.trial(best.number).params

    @property
    def over(self) -> str:
        """What gains are over, in words."""
        if self.config.chosen_by_people:
            return "what was expected before anybody chose, in utility (1 more is chosen e times as often)"
        return "no feedback"

    @property
    def best_preset(self) -> Tried | None:
        """Fixed FABRIC: the preset that did best by the first objective; None before any was tried."""
        known = [trial for trial in self.tried if trial.preset is not None]
        return max(known, key=lambda trial: trial.values[0], default=None)

    def label(self, parameter: str) -> str:
        """What a parameter is called."""
        return label(parameter, self.given)

    def trial(self, number: int) -> Tried:
        """A trial by its number."""
        return next(trial for trial in self.tried if trial.number == number)

    def count(self, state: TrialState) -> int:
        """Trials in a state."""
        return len(self.study.get_trials(deepcopy=False, states=(state,)))

    def moments(self, objective: int) -> list[Moment]:
        """How the recommendation came about: the model is fitted again to the first trials, at most 20 times."""
        count = len(self._finished)
        found = []
        for k in sorted({round(k) for k in np.linspace(min(2, count), count, _MOMENTS)}):
            observations = observe(self.study, self._finished[:k], self.encoding)
            if len(observations.Y):
                best = fit_model(observations.objective(objective)).recommendation
                found.append(Moment(self._finished[k - 1].number, best))
        return found

    def _tried(self) -> list[Tried]:
        by_number = {trial.number: trial for trial in self._finished}
        observations = self.observations
        Y, Yvar = observations.Y, observations.Yvar
        if observations.preferences is not None:  # a share of choices is no utility
            Y = torch.tensor([[setting.mean] for setting in self.models[0].settings], dtype=torch.float64)
        errors = np.full(Y.shape, math.nan) if Yvar is None else Yvar.sqrt().numpy()
        rows = zip(observations.numbers, Y.tolist(), errors.tolist(), strict=True)
        return [self._one(by_number[number], values, error) for number, values, error in rows]

    def _one(self, trial: FrozenTrial, values: list[float], errors: list[float]) -> Tried:
        own = is_own(self.study, trial)
        place = place_of(self.study, trial, self.study.get_trials(deepcopy=False))
        names, params = list(self.presets), read_settings(trial.user_attrs[PARAMS])
        name = names[place] if own and place < len(names) else None
        return Tried(
            trial.number,
            "preset" if name else self._phase(place) if own else "given",
            name,
            name is not None and same_settings(params, self.presets[name]),
            trial.state == TrialState.PRUNED,
            values,
            errors,
            self._shares(trial),
            params,
        )

    def _phase(self, place: int) -> Phase:
        """See `known_settings` and `ModelSampler`; Optuna's samplers have no design of ours."""
        design = design_size(self.encoding.dimensions, self._known) if self.config.sampler == "gp" else 0
        return "design" if place < self._known + design else "search"

    def _shares(self, trial: FrozenTrial) -> dict[str, float]:
        point = self.encoding.encode(trial.params)
        assert point is not None, "a trial that was observed has a point"
        return {name: _share(point[columns]) for name, columns in self.encoding.columns.items()}


def _share(columns: Tensor) -> float:
    """Where a value lies within its range, 0 to 1; a choice by its place among the others."""
    return float(columns[0]) if len(columns) == 1 else int(columns.argmax()) / (len(columns) - 1)


def read_findings(folder: Path) -> Findings:
    """Everything that a report is made of.

    Args:
        folder: output of a run.

    Raises:
        ValueError: there is no run in the folder, or it has no finished trial; the message is one line.
    """
    study, values = read_study(folder)
    return Findings(folder, check_config({**values, "output": str(folder)}), study, read_comparison(folder))


def same_settings(ours: FabricParams, other: FabricParams) -> bool:
    """Whether settings are equal up to rounding."""
    pairs = [(getattr(ours, name), getattr(other, name)) for name in FabricParams.bounds()]
    for name in BY_PICTURE:
        images = getattr(ours, name).keys() | getattr(other, name).keys()
        pairs += [(ours.of_picture(name, image), other.of_picture(name, image)) for image in images]
    of_model = model_state(ours) == model_state(other)
    return of_model and all(math.isclose(one, two, abs_tol=1e-9) for one, two in pairs)
