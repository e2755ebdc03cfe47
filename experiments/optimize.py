"""`fabric-bo optimize`: propose settings, try them on all prompts, score, learn."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from tqdm import tqdm

from experiments.config import RunConfig, read_config
from experiments.pictures import contact_sheet, save_png
from experiments.rounds import Outcome, Protocol, Studio, Task, play
from experiments.space import Space, absent
from experiments.storage import heartbeat, open_study
from experiments.tasks import tasks_of
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator
from fabric.models import load
from fabric.params import PRESETS, FabricParams, preset
from objectives.base import Objective
from objectives.combine import BaselineDifference
from objectives.registry import create
from objectives.scoring import ObjectiveError
from optimizer.observations import SCORES, Encoding, observe
from optimizer.recommend import Recommendation, recommend
from optimizer.sampler import GaussianProcessSampler

_log = logging.getLogger(__name__)
_FAILURES = 3  # in a row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("config", type=Path, help="a YAML file; see the README")


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        Exit code 0.

    Raises:
        ValueError: the configuration is wrong; the message is one line.
    """
    config = read_config(options.config)
    study = optimize(config)
    best = recommended(study, config)
    params = space_of(config).params(study.trials[best.number].params)
    path = config.output / "best.yaml"
    path.write_text(params.to_yaml())
    print(f"recommended: trial {best.number}, {best.mean:.4f} [{best.low:.4f}, {best.high:.4f}]; written to {path}")
    return 0


def space_of(config: RunConfig) -> Space:
    """What is sought."""
    return Space(config.space, config.fixed)


def objective_of(config: RunConfig, device: str = "cpu") -> Objective:
    """What an image is worth."""
    objective = create(config.objective.name, config.objective.checkpoint, device, config.model.name)
    return BaselineDifference(objective) if config.objective.gain else objective


def protocol_of(config: RunConfig) -> Protocol:
    """How a setting is tried."""
    given = config.protocol
    size = None if given.size is None else (given.size[1], given.size[0])
    return Protocol(given.rounds, given.images, given.steps, size, given.seed, given.batch, given.value)


def generator_of(config: RunConfig) -> FabricGenerator:
    """What generates."""
    model = config.model
    pipeline = load(
        model.name,
        scheduler=model.scheduler,
        device=model.device,
        dtype=model.dtype,
        loras=tuple(model.loras.items()),
        config=model.config,
    )
    return FabricGenerator(pipeline, ReferenceBank(offload=model.offload))


def optimize(config: RunConfig) -> Study:
    """Runs until the study has as many trials as the configuration asks for; goes on where it was left.

    Args:
        config: the run.

    Returns:
        The study.

    Raises:
        ValueError: something in the configuration is not to be had, or the study is of another one.
        ObjectiveError: the objective failed in three trials in a row.
    """
    tasks, objective, space = tasks_of(config), objective_of(config), space_of(config)
    objective.prepare()
    first = [space.values(preset(name, config.protocol.steps)) for name in PRESETS]
    sampler = GaussianProcessSampler(first=first, space=space.distributions, absent=absent, seed=config.seed)
    decides = config.model_dump(mode="json", exclude={"trials", "output"})
    study = open_study(config.output, decides, sampler, optuna.pruners.WilcoxonPruner(p_threshold=0.1))
    runner = Runner(Studio(generator_of(config), protocol_of(config)), tasks, objective, space, config.output)
    failures = 0
    with tqdm(total=config.trials, initial=len(finished(study)), desc="trials") as bar:
        while len(finished(study)) < config.trials:
            trial = study.ask(space.distributions)
            try:
                with heartbeat(study, trial):
                    runner.run(study, trial)
                failures = 0
            except ObjectiveError as error:
                failures += 1
                _log.warning("trial %d failed: %s", trial.number, error)
                study.tell(trial, state=TrialState.FAIL)
                if failures == _FAILURES:
                    raise
                continue
            except BaseException:
                study.tell(trial, state=TrialState.FAIL)
                raise
            bar.update()
    return study


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that say something."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def recommended(study: Study, config: RunConfig) -> Recommendation:
    """The setting to use, by the model's belief."""
    encoding = Encoding(space_of(config).distributions, absent)
    return recommend(observe(study, study.get_trials(deepcopy=False), encoding))


class Runner:
    """Tries the settings of trials.

    Args:
        studio: generator and protocol.
        tasks: prompts, the same for every trial.
        objective: scores.
        space: reads a trial's settings.
        folder: of the run.
    """

    def __init__(self, studio: Studio, tasks: list[Task], objective: Objective, space: Space, folder: Path) -> None:
        self.studio = studio
        self.tasks = tasks
        self.objective = objective
        self.space = space
        self.folder = folder
        self.store = FileSystemArtifactStore(folder / "artifacts")
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)

    def run(self, study: Study, trial: Trial) -> None:
        """Tries a trial's setting on one task after the other, as many at once as fill a batch, and tells the study.

        Clearly worse settings stop early, by a paired test against the best trial; what they saw still counts.
        """
        params, protocol = self.space.params(trial.params), self.studio.protocol
        outcomes: list[Outcome] = []
        at_once = max(1, protocol.batch // protocol.images)
        for start in range(0, len(self.tasks), at_once):
            outcomes += play(self.studio, self.tasks[start : start + at_once], params, self.objective)
            for place in range(start, len(outcomes)):
                trial.report(outcomes[place].value(protocol.value), step=place)
            if len(outcomes) < len(self.tasks) and trial.number >= len(PRESETS) and trial.should_prune():
                break
        self._record(trial, params, outcomes)
        values = [outcome.value(protocol.value) for outcome in outcomes]
        state = TrialState.COMPLETE if len(outcomes) == len(self.tasks) else TrialState.PRUNED
        study.tell(trial, sum(values) / len(values) if state == TrialState.COMPLETE else None, state=state)

    def _record(self, trial: Trial, params: FabricParams, outcomes: list[Outcome]) -> None:
        """Writes everything about a trial into the study, its images as a sheet with a row for each prompt."""
        kind = self.studio.protocol.value
        trial.set_user_attr(SCORES, {f"{k}": outcome.value(kind) for k, outcome in enumerate(outcomes)})
        trial.set_user_attr("params", params.to_dict())
        trial.set_user_attr("rounds", [outcome.scores.tolist() for outcome in outcomes])
        trial.set_user_attr("prompts", [[one.prompts for one in outcome.session.rounds] for outcome in outcomes])
        rows = [[picture for one in outcome.session.rounds for picture in one.pictures] for outcome in outcomes]
        sheet = contact_sheet([picture for row in rows for picture in row], len(rows[0]))
        path = self.folder / f"trial-{trial.number:04d}.png"
        save_png(sheet, path, {})
        upload_artifact(artifact_store=self.store, file_path=str(path), study_or_trial=trial)
        path.unlink()
