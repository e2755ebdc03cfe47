"""The optimisation of a run: propose settings, try them on all prompts, score, learn."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from experiments.config.family import family_knobs
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.people.asking import questions_of
from experiments.people.choices import StudyChoices
from experiments.people.questions import Questions
from experiments.people.ratings import StudyRatings
from experiments.people.trial_looks import TrialLooks
from experiments.run.cached_generator import CachedGenerator
from experiments.run.early_stopping import EarlyStopping
from experiments.run.plan import Plan
from experiments.run.progress import Progress, TrialProgress
from experiments.run.space import absent
from experiments.run.stopping import finished, minutes_taken, reason_to_stop
from experiments.run.store import WAITING, Store, running
from experiments.run.study import (
    CONFIG_FILE,
    PICTURES,
    check_pictures,
    keep_knobs,
    open_study,
    read_study,
    run_name,
    write_config,
)
from experiments.run.tasks import keep_given, pictures_of
from experiments.run.trials import Runner
from fabric.params import FabricParams
from optimizer.attributes import replication_of
from optimizer.observations import Observations, observe
from optimizer.recommendation import FittedModel, Recommendation, balanced, fit_model, pareto
from optimizer.samplers.baselines import create_sampler
from optimizer.samplers.known_first import place_of
from optimizer.samplers.proposals import is_own
from optimizer.samplers.replicating import Replicating

_log = logging.getLogger(__name__)
_FAILURES = 3  # in a row, of all trials that were tried at once
_WAIT = 1.0  # seconds


@dataclass(frozen=True)
class Run:
    """An optimisation, finished or not.

    Attributes:
        plan: of its configuration.
        study: holds everything.
    """

    plan: Plan
    study: Study

    def observations(self, count: int | None = None) -> Observations:
        """What the model learns from: all trials, or the first that finished."""
        trials = self.study.get_trials(deepcopy=False) if count is None else finished(self.study)[:count]
        return observe(self.study, trials, self.plan.encoding)

    def fitted_model(self, count: int | None = None) -> FittedModel | None:
        """The model of the objective; None where there are several, and before anything was observed."""
        observations = self.observations(count)
        single = len(self.plan.config.objective) == 1
        return fit_model(observations) if single and len(observations.Y) else None

    def recommended(self, count: int | None = None) -> tuple[Recommendation, FabricParams]:
        """The best setting by the model's posterior mean; of several objectives the balanced one of the front.

        Args:
            count: finished trials to learn from; all by default.

        Raises:
            ValueError: no trial is finished.
        """
        observations = self.observations(count)
        if not len(observations.Y):
            output = self.plan.config.output
            raise ValueError(f"run: {output} recommends nothing yet; allowed: one or more finished trials")
        best = balanced(pareto(observations))[0]
        return best, self.plan.space.params(self.study.trials[best.number].params)

    def replications(self, number: int) -> list[int]:
        """Finished trials that tried a trial's settings again, with other seeds."""
        again = ((trial.number, replication_of(trial)) for trial in finished(self.study))
        return [other for other, replication in again if replication is not None and replication.trial == number]

    def best_known(self) -> tuple[str, FabricParams] | None:
        """Fixed FABRIC at its best: the known setting with the highest gain on the run's own prompts, and its name.

        As it was tried: what the space cannot express is as the run has it. None while no known setting is finished.
        """
        trials = self.study.get_trials(deepcopy=False)
        names = list(self.plan.known_settings)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and is_own(self.study, trial)]
        known = {place: trial for trial in complete if (place := place_of(self.study, trial, trials)) < len(names)}
        if not known:
            return None
        best = max(known, key=lambda place: known[place].values[0])
        return names[best], self.plan.space.params(known[best].params)


def read_run(folder: Path) -> Run:
    """A run on disk, to be looked at.

    Raises:
        ValueError: there is no run in the folder; the message is one line.
    """
    study, values = read_study(folder)
    return Run(Plan.of(check_config({**values, "output": str(folder)})), study)


def optimize(plan: Plan, progress: Progress | None = None) -> Run:
    """Runs until the budget is used up or the stopping rule says so; goes on where it was left.

    Args:
        plan: of a configuration.
        progress: shows how far the run is; one on the terminal by default.

    Raises:
        ValueError: something in the configuration is not to be had, or the study is of another one.
        ObjectiveError: the objective failed three times in a row.
        KeyboardInterrupt: the trial under way is marked failed, everything else is kept.
    """
    if progress is None:
        with Progress() as progress:
            return optimize(plan, progress)
    progress.doing("loading the objective")
    plan.check()
    # Of a run that begins, nothing is written before its model is known to be there; of one that goes on, it is said
    # before anything is loaded if it is another one.
    store = begin(plan) if (plan.config.output / CONFIG_FILE).exists() else None
    progress.doing("loading the model")
    generator = plan.generator()
    return work(plan, generator, store or begin(plan), progress)


def begin(plan: Plan) -> Store:
    """The study of a run, new or as it was left, with all that workers elsewhere need.

    Raises:
        ValueError: the study is of another configuration, or has other pictures.
    """
    config = plan.config
    values = config.model_dump(mode="json")
    store = open_study(config.output, values, len(config.objective), _sampler(plan), run_name(values, config.output))
    check_pictures(store.study, pictures_of(plan.tasks))
    keep_knobs(store.study, lambda: family_knobs(config.model))
    keep_given(plan.tasks, plan.artifacts)
    return store


def join(store: Store, config: RunConfig, progress: Progress) -> Run:
    """Takes part in a run that was begun elsewhere, until it is over.

    Args:
        store: of the run; gets its sampler.
        config: of the run as its study has it, but for where this process is; with storage and study.
        progress: shows how far the run is.

    Raises:
        ValueError: something that it needs is not to be had here.
        ObjectiveError: the objective failed three times in a row.
        KeyboardInterrupt: the trial under way is marked failed, everything else is kept.
    """
    plan = Plan.of_kept(config, store.study.user_attrs.get(PICTURES, []))
    write_config(config.output, config.model_dump(mode="json"))
    progress.doing("loading the objective")
    plan.check(held_out=False)
    progress.doing("loading the model")
    generator = plan.generator()
    store.study.sampler = _sampler(plan)
    return work(plan, generator, store, progress)


def _sampler(plan: Plan) -> Replicating:
    """Proposes the known settings, then what the configured sampler does, and in the end the best ones again."""
    config = plan.config
    first = [plan.space.values(params) for params in plan.known_settings.values()]
    searching = create_sampler(
        config.sampler,
        first=first,
        space=plan.space.distributions,
        absent=absent,
        feature_map=plan.feature_map,
        seed=config.seed,
    )
    return Replicating(searching, max(len(first), config.trials - config.replications), plan.encoding)


def work(plan: Plan, generator: CachedGenerator, store: Store, progress: Progress) -> Run:
    """Tries settings, as others may do meanwhile, until there is a reason to stop.

    Args:
        plan: of a configuration.
        generator: of its protocol.
        store: of the run, as `begin` gives it.
        progress: shows how far the run is.

    Raises:
        ObjectiveError: the objective failed three times in a row.
        KeyboardInterrupt: the trial under way is marked failed, everything else is kept.
    """
    config = plan.config
    questions = questions_of(store.study, config, plan.artifacts)
    plan.shared.ratings = questions if isinstance(questions, StudyRatings) else None
    trials = _trial_progress(plan, store.study, progress)
    looks = None
    if isinstance(questions, StudyChoices) and config.chosen_by_people:
        looks = TrialLooks(questions, config.people.shown, config.people.choices)
    runner = Runner(plan, generator, store, plan.artifacts, trials.prompts, trials.round, progress.doing, looks)
    reason = _loop(Run(plan, store.study), store, runner, trials, questions)
    progress.say(f"stopped after {reason}")
    return Run(plan, store.study)


def _trial_progress(plan: Plan, study: Study, progress: Progress) -> TrialProgress:
    config = plan.config
    minutes = math.inf if config.stop.minutes is None else config.stop.minutes - minutes_taken(study)
    return TrialProgress(
        progress, config.trials, len(finished(study)), len(plan.tasks), config.protocol.rounds, 60 * minutes
    )


def _early_stopping(run: Run, fitted: FittedModel | None) -> EarlyStopping | None:
    chance = 0.0 if run.plan.config.chosen_by_people else run.plan.config.protocol.prune
    return EarlyStopping(run.study, fitted, run.plan.encoding, chance) if fitted is not None and chance > 0 else None


def _loop(run: Run, store: Store, runner: Runner, progress: TrialProgress, questions: Questions) -> str:
    """Asks, tries and tells until there is a reason to stop, which it returns; known settings are not stopped early.

    Trials that wait for people stay open meanwhile, and others are asked for up to as many at once as there may be.
    """
    config, study, failures = run.plan.config, store.study, 0
    fitted = run.fitted_model()
    while (reason := reason_to_stop(config, study, fitted)) is None:
        store.reap()
        if runner.looks is not None:
            runner.looks.close_lost(study)
            runner.leader = fitted.recommendation.number if fitted else None
        waiting, rated = _waiting(store, questions)
        left = config.trials - len(finished(study)) - len(running(study))
        may_wait = config.at_once if config.people.waiting is None else config.people.waiting
        room = min(config.at_once - len(rated), may_wait - len(waiting) - len(rated), left)
        trials = [*rated, *(ask(run, store, room) if room > 0 else ())]
        if not trials:  # people, or other processes, are at the last ones; should one die, there is a trial left
            if waiting:
                progress.waits(questions.what_is_left())
            known = len(finished(study))
            time.sleep(_WAIT)
            if len(finished(study)) != known:
                fitted = run.fitted_model()
            continue
        progress.proposed(len(trials))
        _log.debug("trying %s", {trial.number: trial.params for trial in trials})
        with store.alive([*trials, *waiting]), _failing(study, trials):
            failed = runner.run(study, trials, _early_stopping(run, fitted))
        for number, error in failed.items():
            _log.warning("trial %d failed: %s", number, error)
        failures = failures + 1 if len(failed) == len(trials) else 0
        if failures >= _FAILURES:
            raise next(iter(failed.values()))
        fitted = run.fitted_model()
        progress.finished(len(finished(study)), fitted.recommendation.mean if fitted else None)
    return reason


def _waiting(store: Store, questions: Questions) -> tuple[list[Trial], list[Trial]]:
    """Trials of this process that wait for people: those that still do, and those whose images are rated by now."""
    still, rated = list[Trial](), list[Trial]()
    if waiting := store.waiting():
        questions.refresh()
        for trial in waiting:
            ready = all(map(questions.is_answered, trial.user_attrs[WAITING]))
            (rated if ready else still).append(trial)
    return still, rated


def ask(run: Run, store: Store, count: int) -> list[Trial]:
    """New trials, as many as the budget has room for: other processes may have asked since this one counted.

    Args:
        run: whose budget holds.
        store: of its study.
        count: that are wanted.
    """
    asked, kept = list[Trial](), list[Trial]()
    for _ in range(count):
        with contextlib.suppress(UpdateFinishedTrialError):  # given up by others, as this machine slept meanwhile
            asked.append(store.ask(run.plan.space.distributions))
    taken = [other.number for other in (*finished(store.study), *running(store.study))]
    for trial in asked:
        if sum(number < trial.number for number in taken) < run.plan.config.trials:
            kept.append(trial)
        else:
            store.give_up(trial)
    return kept


@contextlib.contextmanager
def _failing(study: Study, trials: Sequence[Trial]) -> Iterator[None]:
    """Whatever goes wrong within, trials that are still running are marked failed; they are lost, see `Store.alive`.

    Those that waited for people are taken up again by who goes on with the run.
    """
    try:
        yield
    except BaseException:
        for trial in trials:
            if trial.user_attrs.get(WAITING):
                continue
            # It was finished before; or the storage fails, and who goes on with the run sees that this process is dead.
            with contextlib.suppress(ValueError, UpdateFinishedTrialError, StorageInternalError):
                study.tell(trial, state=TrialState.FAIL)
        raise
