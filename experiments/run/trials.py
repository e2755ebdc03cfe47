"""Tries settings: the trials of a study on all tasks, some trials at once, and writes what came of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.study import Study
from optuna.trial import Trial, TrialState

from experiments.files.pictures import contact_sheet, save_png
from experiments.run.play import Outcome, Scores, Studio, Task, play, worth
from experiments.run.space import Space
from fabric.params import FabricParams
from objectives.base import Objective
from optimizer.observations import SCORES

PLAIN = "fabric-bo:plain"
"""User attribute of a study: scores of the images without feedback, P x M x R x n, which trials are compared with."""

PARAMS, ROUNDS, PROMPTS, SEEDS, TIMES, MADE = "params", "rounds", "prompts used", "seeds", "seconds", "images made"
"""User attributes of a trial: settings; P x M x R x n scores; P x R x n prompts after dropout, and seeds; seconds by
what they went to; images that were generated for it."""


@dataclass
class _Try:
    """A trial under way."""

    trial: Trial
    params: FabricParams
    outcomes: list[Outcome] = field(default_factory=list)
    reported: int = 0
    stopped: bool = False


class Runner:
    """Tries settings on tasks.

    Args:
        studio: generator and protocol.
        tasks: P prompts, the same for every trial.
        objectives: M scores; the first chooses what is liked and disliked.
        space: reads a trial's settings.
        folder: of the artifacts.
        on_prompts: called with the number of tasks done for all trials under way.
        on_round: called after each round.
    """

    def __init__(
        self,
        studio: Studio,
        tasks: Sequence[Task],
        objectives: Sequence[Objective],
        space: Space,
        folder: Path,
        on_prompts: Callable[[int], None] = lambda count: None,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self.studio = studio
        self.tasks = list(tasks)
        self.objectives = list(objectives)
        self.space = space
        self.on_prompts = on_prompts
        self.on_round = on_round
        folder.mkdir(parents=True, exist_ok=True)
        self.artifacts = FileSystemArtifactStore(folder)

    def plain(self, study: Study) -> list[Scores]:
        """Scores of the tasks' images without feedback, P of M x R x n; computed once for a study."""
        known = study.user_attrs.get(PLAIN)
        if known is None:
            setting = self.studio.protocol.plain
            tasks = [Task(task.prompt, task.targets, negative_prompt=task.negative_prompt) for task in self.tasks]
            outcomes = play(self.studio, [(task, setting) for task in tasks], self.objectives)
            known = [outcome.scores.tolist() for outcome in outcomes]
            study.set_user_attr(PLAIN, known)
        return [np.array(scores) for scores in known]

    def run(self, study: Study, trials: Sequence[Trial], protect: int = 0) -> None:
        """Tries the settings of trials on one task after the other, as many at once as fill a batch.

        Clearly worse settings stop early, by the study's pruner; what they saw still counts.

        Args:
            study: is told the values.
            trials: q running ones, their parameters asked for.
            protect: trials of smaller numbers are not stopped early.
        """
        plain = self.plain(study)
        tries = [_Try(trial, self.space.params(trial.params)) for trial in trials]
        made, seconds, began = self.studio.made, self.studio.seconds, time.perf_counter()
        start = 0
        while start < len(self.tasks) and (going := [one for one in tries if not one.stopped]):
            some = self.tasks[start : start + self._at_once(len(going))]
            pairs = [(task, one.params) for one in going for task in some]
            outcomes = play(self.studio, pairs, self.objectives, self.on_round)
            for place, one in enumerate(going):
                one.outcomes += outcomes[place * len(some) : (place + 1) * len(some)]
            start += len(some)
            self.on_prompts(start)
            if len(self.objectives) == 1:  # Optuna does not stop trials of several objectives
                self._stop_worse(going, plain, start, protect)
        generating, whole = self.studio.seconds - seconds, time.perf_counter() - began
        shares = {"generating": generating / len(tries), "scoring": (whole - generating) / len(tries)}
        for one in tries:
            one.trial.set_user_attr(TIMES, shares)
            one.trial.set_user_attr(MADE, (self.studio.made - made) / len(tries))
            self._tell(study, one, plain)

    def _at_once(self, trials: int) -> int:
        """Tasks that fill a batch."""
        return max(1, self.studio.protocol.batch // (self.studio.protocol.images * trials))

    def _gains(self, outcomes: Sequence[Outcome], plain: Sequence[Scores]) -> list[list[float]]:
        """What outcomes are worth over the same prompts and seeds without feedback, P x M."""
        kind = self.studio.protocol.value
        return [
            [outcome.value(kind, m) - worth(without[m], kind) for m in range(len(self.objectives))]
            for outcome, without in zip(outcomes, plain, strict=False)
        ]

    def _stop_worse(self, going: Sequence[_Try], plain: Sequence[Scores], done: int, protect: int) -> None:
        for one in going:
            gains = self._gains(one.outcomes, plain)
            for place in range(one.reported, len(gains)):
                one.trial.report(gains[place][0], step=place)
            one.reported = len(gains)
            one.stopped = done < len(self.tasks) and one.trial.number >= protect and one.trial.should_prune()

    def _tell(self, study: Study, one: _Try, plain: Sequence[Scores]) -> None:
        """Writes everything about a trial into the study, then its state, which makes it count."""
        trial, outcomes = one.trial, one.outcomes
        gains = self._gains(outcomes, plain)
        rounds = [outcome.session.rounds for outcome in outcomes]
        trial.set_user_attr(PARAMS, one.params.to_dict())
        trial.set_user_attr(ROUNDS, [outcome.scores.tolist() for outcome in outcomes])
        trial.set_user_attr(PROMPTS, [[made.prompts for made in some] for some in rounds])
        trial.set_user_attr(SEEDS, [_seeds(outcome) for outcome in outcomes])
        single = len(self.objectives) == 1
        trial.set_user_attr(SCORES, {f"{k}": gain[0] if single else gain for k, gain in enumerate(gains)})
        for place, outcome in enumerate(outcomes):
            self._upload(trial, place, outcome)
        if one.stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, np.mean(gains, axis=0).tolist())

    def _upload(self, trial: Trial, place: int, outcome: Outcome) -> None:
        """Keeps a task's images as a sheet with a row for each round."""
        pictures = [picture for made in outcome.session.rounds for picture in made.pictures]
        sheet = contact_sheet(pictures, len(outcome.session.rounds[0].pictures))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"prompt-{place:02d}.png"
            save_png(sheet, path, {})
            upload_artifact(artifact_store=self.artifacts, file_path=str(path), study_or_trial=trial)


def _seeds(outcome: Outcome) -> list[list[int]]:
    """Of its images, R x n."""
    session = outcome.session
    return [session.seeds(number, len(made.pictures)) for number, made in enumerate(session.rounds)]
