"""The optimisation of a run: propose settings, try them on all prompts, score, learn."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.pruners import BasePruner, NopPruner, WilcoxonPruner
from optuna.study import Study
from optuna.trial import Trial, TrialState

from experiments.config.schema import RunConfig
from experiments.run.feature_map import FabricFeatureMap
from experiments.run.plan import check_tasks, known_settings, objective_of, space_of, studio_of, view_of
from experiments.run.progress import Progress
from experiments.run.space import Space, absent
from experiments.run.stopping import belief_in_words, finished, reason_to_stop, running
from experiments.run.study import Store, open_study, read_study
from experiments.run.tasks import tasks_of
from experiments.run.trials import Runner
from fabric.params import FabricParams
from objectives.base import ObjectiveError
from optimizer.encoding import Encoding
from optimizer.observations import Observations, observe
from optimizer.recommend import FittedModel, Recommendation, fit_model, pareto
from optimizer.samplers.baselines import create_sampler
from optimizer.samplers.known_first import LOST

_log = logging.getLogger(__name__)
_FAILURES = 3  # in a row
_WAIT = 1.0  # seconds


@dataclass(frozen=True)
class Run:
    """An optimisation, finished or not.

    Attributes:
        config: of it.
        study: holds everything.
        space: reads its trials.
        view: what the model sees of settings.
    """

    config: RunConfig
    study: Study
    space: Space
    view: FabricFeatureMap

    @property
    def encoding(self) -> Encoding:
        """Settings as points."""
        return Encoding(self.space.distributions, absent, self.view)

    def observations(self, count: int | None = None) -> Observations:
        """What the model learns from: all trials, or the first that finished."""
        trials = self.study.get_trials(deepcopy=False) if count is None else finished(self.study)[:count]
        return observe(self.study, trials, self.encoding)

    def belief(self, count: int | None = None) -> FittedModel | None:
        """What the model thinks of one objective; None of several, and before anything was seen."""
        seen = self.observations(count)
        return fit_model(seen) if len(self.config.objective) == 1 and len(seen.Y) else None

    def recommended(self, count: int | None = None) -> tuple[Recommendation, FabricParams]:
        """The setting to use, by the model's belief; of several objectives the best of the first one on the front.

        Args:
            count: finished trials to learn from; all by default.

        Raises:
            ValueError: no trial is finished.
        """
        seen = self.observations(count)
        if not len(seen.Y):
            raise ValueError(f"run: {self.config.output} recommends nothing yet; allowed: one or more finished trials")
        best = pareto(seen)[0][0]
        return best, self.space.params(self.study.trials[best.number].params)


def recommended_of(config: RunConfig) -> FabricParams:
    """The setting that a run on disk recommends.

    Raises:
        ValueError: there is no run, or it has no finished trial, or several objectives.
    """
    study, _ = read_study(config.output)
    tasks = tasks_of(config)
    space = space_of(config, tasks)
    return Run(config, study, space, view_of(config, space, tasks)).recommended()[1]


def optimize(config: RunConfig) -> Run:
    """Runs until the budget is used up or the stopping rule says so; goes on where it was left.

    Args:
        config: the run.

    Raises:
        ValueError: something in the configuration is not to be had, or the study is of another one.
        ObjectiveError: the objective failed in three trials in a row.
        KeyboardInterrupt: the trial under way is marked failed, everything else is kept.
    """
    tasks = tasks_of(config)
    objectives = [objective_of(config, each) for each in config.objective]
    check_tasks(tasks, objectives)
    space = space_of(config, tasks)
    first = [space.values(params) for params in known_settings(config, space)]
    view = view_of(config, space, tasks)
    sampler = create_sampler(
        config.sampler, first=first, space=space.distributions, absent=absent, feature_map=view, seed=config.seed
    )
    pruner = _pruner_of(config)
    store = open_study(config.output, config.model_dump(mode="json"), len(objectives), sampler, pruner)
    run = Run(config, store.study, space, view)
    studio = studio_of(config)
    with Progress(config.trials, len(finished(store.study)), len(tasks), config.protocol.rounds) as progress:
        runner = Runner(studio, tasks, objectives, space, config.output / "artifacts", progress.prompts, progress.round)
        _loop(run, store, runner, progress, len(first))
    return run


def _pruner_of(config: RunConfig) -> BasePruner:
    """Stops trials that are clearly worse than the best by a signed-rank test on the prompts that both have seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return WilcoxonPruner(p_threshold=0.1) if config.protocol.prune else NopPruner()


def _loop(run: Run, store: Store, runner: Runner, progress: Progress, protect: int) -> None:
    """Asks, tries and tells until there is a reason to stop; the known settings, first, are not stopped early."""
    config, study, failures = run.config, store.study, 0
    runner.plain(study)
    belief = run.belief()
    while (reason := reason_to_stop(config, study, belief)) is None:
        store.reap()
        left = config.trials - len(finished(study)) - len(running(study))
        if left < 1:  # other processes are at the last ones; should one die, there is a trial left
            time.sleep(_WAIT)
            belief = run.belief()
            continue
        trials = [store.ask(run.space.distributions) for _ in range(min(config.at_once, left))]
        progress.proposed(trials[-1].number, trials[-1].params)
        try:
            with store.alive(trials), _failing(study, trials):
                runner.run(study, trials, protect)
        except ObjectiveError as error:
            failures += len(trials)
            _log.warning("trial %d failed: %s", trials[0].number, error)
            if failures >= _FAILURES:
                raise
            continue
        failures = 0
        belief = run.belief()
        progress.told(len(trials), belief_in_words(config, belief) if belief else "")
    progress.say(f"stopped after {reason}")


@contextlib.contextmanager
def _failing(study: Study, trials: Sequence[Trial]) -> Iterator[None]:
    """Whatever goes wrong within, trials that are still running are marked failed."""
    try:
        yield
    except BaseException as error:
        for trial in trials:
            with contextlib.suppress(ValueError, UpdateFinishedTrialError):  # it was told before
                if isinstance(error, KeyboardInterrupt):
                    trial.set_user_attr(LOST, True)
                study.tell(trial, state=TrialState.FAIL)
        raise
