"""Tries settings: the trials of a study on all tasks, some trials at once, and writes what came of them."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from experiments.people.trial_looks import TrialLooks
from experiments.run.artifacts import Artifacts
from experiments.run.cached_generator import CachedGenerator
from experiments.run.early_stopping import EarlyStopping
from experiments.run.plain_scores import PlainScores, tagged
from experiments.run.plan import Plan
from experiments.run.play import Outcome, awaited, by_image, failure_of, try_plays
from experiments.run.protocol import Scores, task_value
from experiments.run.shared_images import SharedImages
from experiments.run.store import WAITING, Store
from fabric.params import FabricParams
from objectives.base import Objective, ObjectiveError, UnratedError
from optimizer.attributes import CHOICES, CONSTRAINT_SCORES, LOST, SCORES, STAND_IN, replication_of

PARAMS, ROUNDS, PROMPTS, SEEDS, TIMES, MADE = "params", "rounds", "prompts used", "seeds", "seconds", "images made"
ATTENTION = "attention"
FAILURE = "failure"
"""User attributes of a trial: settings; P x (M + C) x R x n scores; P x R x n prompts after dropout, and seeds; seconds
by what they went to; images that were generated for it; for each prompt the share of the self-attention that each
reference received in the last round, by id; of a trial that failed what could not be scored."""

_log = logging.getLogger(__name__)


@dataclass
class _Attempt:
    """A trial under way.

    Attributes:
        replication: 0 for one that does not replicate another; see `Task.replication`.
        plain: scores of its tasks without feedback, or what people have to rate before these are known.
    """

    trial: Trial
    params: FabricParams
    replication: int
    plain: list[Scores] | UnratedError
    outcomes: list[Outcome] = field(default_factory=list)
    stopped: bool = False

    @property
    def failure(self) -> ObjectiveError | None:
        """What an objective could not score; the trial fails with it."""
        return failure_of(self.outcomes)

    @property
    def awaited(self) -> list[str]:
        """Items that people have to rate before it goes on."""
        of_plain = self.plain.items if isinstance(self.plain, UnratedError) else ()
        return sorted({*of_plain, *awaited(self.outcomes)})

    @property
    def goes_on(self) -> bool:
        """Whether there is anything more to learn from it."""
        return not self.stopped and self.failure is None


class Runner:
    """Tries settings on a plan's tasks.

    Args:
        plan: tasks, objectives and space; the first objective chooses what is liked and disliked.
        generator: of its protocol.
        store: of the trials; says what others are at.
        artifacts: keep the images.
        on_prompts: called with the number of tasks done for all trials under way.
        on_round: called after each round.
        on_wait: called with what is waited for, before trials begin.
        looks: ask people to choose, where that is what settings are worth.

    Attributes:
        leader: number of the trial that is believed best, which people see beside others; None before there is one.
    """

    leader: int | None = None

    def __init__(
        self,
        plan: Plan,
        generator: CachedGenerator,
        store: Store,
        artifacts: Artifacts,
        on_prompts: Callable[[int], None] = lambda count: None,
        on_round: Callable[[], None] = lambda: None,
        on_wait: Callable[[str], None] = lambda what: None,
        looks: TrialLooks | None = None,
    ) -> None:
        self.looks = looks
        self.plan = plan
        self.generator = generator
        self.generator.shared = SharedImages(
            store.study, artifacts, generator.protocol.plain, (generator.protocol.steps, generator.protocol.size)
        )
        self.plain = PlainScores(plan, generator, store, on_wait)
        self.tasks = list(plan.tasks)
        self.scored = [*plan.objectives, *plan.constraints]
        self.on_prompts = on_prompts
        self.on_round = on_round
        self.artifacts = artifacts

    def run(
        self, study: Study, trials: Sequence[Trial], stopping: EarlyStopping | None = None
    ) -> dict[int, ObjectiveError]:
        """Tries the settings of trials on one task after the other, as many at once as fill a batch.

        Settings of little promise stop early; what they saw still counts. The known settings, first, are not stopped,
        as they are what others are compared with, nor are those that are tried again.

        A trial whose images people have to rate first keeps running, and says what it waits for; see `WAITING`. When
        that is rated it is to be run again: what was generated is kept, so it goes on where it was.

        Args:
            study: gets the values.
            trials: q running ones, their parameters asked for.
            stopping: which of them stop early; none by default.

        Returns:
            What failed, by trial number: a trial fails with the first image of its own that cannot be scored.
        """
        tries = [self._attempt(study, trial) for trial in trials]
        count, seconds, began = self.generator.count, self.generator.seconds, time.perf_counter()
        start = 0
        while start < len(self.tasks) and (going := [attempt for attempt in tries if attempt.goes_on]):
            batch = self.tasks[start : start + self._at_once(len(going))]
            plays = [
                (replace(task, replication=attempt.replication), attempt.params) for attempt in going for task in batch
            ]
            outcomes = try_plays(self.generator, plays, self.scored, self.on_round)
            for place, attempt in enumerate(going):
                attempt.outcomes += outcomes[place * len(batch) : (place + 1) * len(batch)]
            start += len(batch)
            self.on_prompts(start)
            if stopping is not None and start < len(self.tasks):
                for attempt in going:
                    attempt.stopped = attempt.goes_on and not attempt.awaited and self._stops(attempt, stopping)
        generating, whole = self.generator.seconds - seconds, time.perf_counter() - began
        for attempt in tries:
            try:
                _add_effort(attempt.trial, (generating, whole - generating), self.generator.count - count, len(tries))
                self._conclude(study, attempt)
            except UpdateFinishedTrialError:  # as after this machine slept for long
                number = attempt.trial.number
                _log.warning(
                    "trial %d was given up, as this process was silent for long; others try its settings", number
                )
        return {attempt.trial.number: attempt.failure for attempt in tries if attempt.failure is not None}

    def _conclude(self, study: Study, attempt: _Attempt) -> None:
        """Writes what came of a trial: it failed, it waits for people, or it is finished."""
        trial = attempt.trial
        if self.plan.stand_in is not None and STAND_IN not in trial.user_attrs:
            self._stand_in(attempt, self.plan.stand_in)
        if attempt.failure is not None:
            trial.set_user_attr(FAILURE, str(attempt.failure))
            trial.set_user_attr(LOST, False)
            study.tell(trial, state=TrialState.FAIL)
        elif awaited := attempt.awaited or self._undecided(study, attempt):
            trial.set_user_attr(WAITING, awaited)
        else:
            self._tell(study, attempt)

    def _stand_in(self, attempt: _Attempt, objective: Objective) -> None:
        """Scores a trial whose images are all there, whether or not people have rated them."""
        protocol = self.generator.protocol
        if len(attempt.outcomes) < len(self.tasks) or any(
            len(outcome.session.rounds) < protocol.rounds for outcome in attempt.outcomes
        ):
            return
        scores = [
            by_image(objective, task, outcome) for task, outcome in zip(self.tasks, attempt.outcomes, strict=True)
        ]
        attempt.trial.set_user_attr(STAND_IN, statistics.fmean(task_value(each, protocol.value) for each in scores))

    def _undecided(self, study: Study, attempt: _Attempt) -> list[str]:
        """Looks that people have to choose from before it is known what a trial is worth."""
        if self.looks is None:
            return []
        images = {
            f"{place}-{k}": (self.tasks[place].prompt, picture)
            for place, outcome in enumerate(attempt.outcomes)
            for k, picture in enumerate(outcome.session.rounds[-1].pictures)
        }
        return self.looks.unanswered(study, attempt.trial, images, self.leader)

    def _attempt(self, study: Study, trial: Trial) -> _Attempt:
        """A trial before its first task."""
        stated = replication_of(study.get_trials(deepcopy=False)[trial.number])
        replication = 0 if stated is None else stated.number
        return _Attempt(trial, self.plan.space.params(trial.params), replication, self.plain(trial, replication))

    def _at_once(self, trials: int) -> int:
        """Tasks that fill a batch."""
        return max(1, self.generator.protocol.batch // (self.generator.protocol.images * trials))

    def _gains(self, attempt: _Attempt) -> list[list[float]]:
        """What outcomes are worth over the same prompts and seeds without feedback, P x (M + C)."""
        kind = self.generator.protocol.value
        assert not isinstance(attempt.plain, UnratedError), "gains are asked for when everything is rated"
        return [
            [outcome.value(kind, m) - task_value(without[m], kind) for m in range(len(self.scored))]
            for outcome, without in zip(attempt.outcomes, attempt.plain, strict=False)
        ]

    def _stops(self, attempt: _Attempt, stopping: EarlyStopping) -> bool:
        protected = attempt.trial.number < len(self.plan.known_settings) or attempt.replication > 0
        return not protected and stopping.stops(attempt.trial, self._scores(attempt))

    def _scores(self, attempt: _Attempt) -> dict[str, Any]:
        """See `optimizer.attributes.SCORES`; a block is a prompt with its seeds."""
        count = len(self.plan.objectives)
        gains = self._gains(attempt)
        return {
            tagged(f"{k}", attempt.replication): gain[0] if count == 1 else gain[:count] for k, gain in enumerate(gains)
        }

    def _constraint_scores(self, attempt: _Attempt) -> dict[str, dict[str, float]]:
        """See `optimizer.attributes.CONSTRAINT_SCORES`: what is lacking, so that at most 0 is allowed."""
        constraints, first = self.plan.config.constraints, len(self.plan.objectives)
        gains = self._gains(attempt)
        return {
            constraint.name: {
                tagged(f"{k}", attempt.replication): constraint.at_least - gain[first + c]
                for k, gain in enumerate(gains)
            }
            for c, constraint in enumerate(constraints)
        }

    def _tell(self, study: Study, attempt: _Attempt) -> None:
        """Writes everything about a trial into the study, then its state, which makes it count."""
        trial, outcomes = attempt.trial, attempt.outcomes
        gains = self._gains(attempt)
        trial.set_user_attr(PARAMS, attempt.params.to_dict())
        trial.set_user_attr(ROUNDS, [outcome.scores.tolist() for outcome in outcomes])
        trial.set_user_attr(PROMPTS, [[done.prompts for done in outcome.session.rounds] for outcome in outcomes])
        trial.set_user_attr(SEEDS, [_seeds(outcome) for outcome in outcomes])
        trial.set_user_attr(ATTENTION, [dict(outcome.attention) for outcome in outcomes])
        values = np.mean(gains, axis=0)[: len(self.plan.objectives)].tolist()
        if self.looks is not None:
            choices, share = self.looks.chosen(trial)
            trial.set_user_attr(CHOICES, choices)
            values = [share]
        else:
            trial.set_user_attr(SCORES, self._scores(attempt))
        if len(self.plan.objectives) == 1:  # Optuna has curves of one value alone
            for place, (gain, *_) in enumerate(gains):
                trial.report(gain, step=place)
        if lacking := self._constraint_scores(attempt):
            trial.set_user_attr(CONSTRAINT_SCORES, lacking)
        for name, by_prompt in lacking.items():
            trial.set_constraint(name, statistics.fmean(by_prompt.values()))
        for place, outcome in enumerate(outcomes):
            self._upload(trial, place, outcome)
        if attempt.stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, values)

    def _upload(self, trial: Trial, place: int, outcome: Outcome) -> None:
        """Keeps a task's images, each by itself."""
        rounds = enumerate(outcome.session.rounds)
        images = {picture_name(place, r, k): image for r, done in rounds for k, image in enumerate(done.pictures)}
        self.artifacts.upload(trial, images)


def _add_effort(trial: Trial, seconds: tuple[float, float], images: int, trials: int) -> None:
    """Adds a trial's share of the seconds for generating and scoring, and of the images, to what it took before."""
    before = trial.user_attrs.get(TIMES, {})
    shares = {
        name: before.get(name, 0) + value / trials
        for name, value in zip(("generating", "scoring"), seconds, strict=True)
    }
    trial.set_user_attr(TIMES, shares)
    trial.set_user_attr(MADE, trial.user_attrs.get(MADE, 0) + images / trials)


def picture_name(prompt: int, number: int, image: int) -> str:
    """File name of an image of a trial: place of its prompt, of its round, and its own within the round."""
    return f"prompt-{prompt:02d}-round-{number + 1}-image-{image + 1}.png"


def _seeds(outcome: Outcome) -> list[list[int]]:
    """Of its images, R x n."""
    session = outcome.session
    return [session.seeds(number, len(done.pictures)) for number, done in enumerate(session.rounds)]
