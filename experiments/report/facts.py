"""What is to be known to make a run again: configuration, versions, seeds, counts, commands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import TrialState

from experiments.report.findings import Findings
from experiments.report.pictures import run_prompts
from experiments.run.plain_scores import PLAIN
from experiments.run.stopping import finished, images_made, margin_of, minutes_taken, reason_to_stop
from experiments.run.storage import storage_url, without_password
from experiments.run.study import VERSIONS
from experiments.run.trials import SEEDS, TIMES
from fabric.models import EMBEDDED_MODELS
from optimizer.attributes import replication_of


def config_values(found: Findings) -> dict[str, Any]:
    """The configuration as plain values, without the password of a database, which is nobody else's business."""
    values: dict[str, Any] = found.config.model_dump(mode="json")
    if values["storage"] is not None:
        values["storage"] = without_password(values["storage"])
    return values


def config_text(found: Findings) -> str:
    """The configuration as YAML; see `config_values`."""
    values = config_values(found)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def counts(found: Findings) -> dict[str, str]:
    """Trials, images and time."""
    study, config = found.study, found.config
    complete, pruned, failed = (
        found.count(state) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    )
    fitted = found.models[0] if len(found.objectives) == 1 else None
    running = found.count(TrialState.RUNNING)
    plain = sum(
        len(round_)
        for name, tasks in study.user_attrs.items()
        if name.startswith(PLAIN)
        for task in tasks
        for round_ in task[0]
    )
    times = [trial.user_attrs.get(TIMES, {}) for trial in study.get_trials(deepcopy=False)]
    generating, scoring = (sum(seconds.get(part, 0.0) for seconds in times) for part in ("generating", "scoring"))
    protocol, reason = config.protocol, reason_to_stop(config, study, fitted)
    again = sum(replication_of(trial) is not None for trial in finished(study))
    facts = {
        "trials": f"{complete} complete, {pruned} stopped early, {failed} failed"
        + (f", {running} running" if running else "")
        + (f"; {again} of them tried the best settings again with other seeds" if again else ""),
        "state": f"ended after {reason}" if reason else f"not ended: {config.trials} trials were asked for",
        "images": f"{images_made(study):.0f} for trials, {plain:.0f} without feedback to compare with",
        "time": f"{minutes_taken(study):.1f} minutes in trials: {generating / 60:.1f} generating, "
        f"{scoring / 60:.1f} scoring",
        "protocol": f"{len(run_prompts(found))} prompts, {protocol.rounds} rounds of {protocol.images} images, "
        f"{protocol.steps} steps of {config.model.scheduler}",
        "value of a trial": "share of the choices between its images and those of other trials that its images won"
        if config.chosen_by_people
        else f"{_VALUES[protocol.value]}, minus the same without feedback, averaged over prompts",
    }
    if config.constraints and fitted is not None:
        kept = ", ".join(f"{constraint.name} at least {constraint.at_least:+g}" for constraint in config.constraints)
        facts["constraints"] = f"{kept}: kept with {fitted.recommendation.allowed:.0%} by what is recommended"
    if fitted is not None:
        margin = margin_of(config, fitted)
        usual = " (the standard error of a trial)" if config.stop.margin is None else ""
        facts["chance of better"] = (
            f"{fitted.chance_of_better(margin):.0%} that some setting beats the recommended one by more than "
            f"{margin:.2g}{usual}"
        )
    return facts


ABOUT_CHANCE = (
    "Chance of better: the model draws many landscapes of gains that all fit what was seen, and counts in how many of "
    "them some setting, tried or not, beats the recommended one by more than the margin. It says how much more trials "
    "might find, not that the recommended settings are bad: near 100 % is usual where there are many parameters and "
    "few trials; a few percent means that, as far as the model can tell, there is little left to find."
)
"""What the chance of better is, in words."""


_VALUES = {"last": "mean of the last round", "best": "best image", "all": "mean of all rounds"}


def versions_of(found: Findings) -> dict[str, str]:
    """Of what the run was made with."""
    model = found.config.model.name
    return {
        **found.study.user_attrs.get(VERSIONS, {}),
        "model": f"{model} (shipped)" if model in EMBEDDED_MODELS else model,
    }


def seeds(found: Findings) -> dict[str, str]:
    """All seeds by what they are for; those of images by prompt."""
    config = found.config
    known = {"sampler": f"{config.seed}", "images": f"{config.protocol.seed}", "comparison": f"{config.held_out.seed}"}
    if config.scenes is not None:
        known["prompts"] = f"{config.scenes.seed}"
    if config.held_out.scenes is not None:
        known["held-out prompts"] = f"{config.held_out.scenes.seed}"
    return known


def image_seeds(found: Findings) -> list[tuple[str, str]]:
    """The seeds of every prompt's images by round; all trials have the same."""
    tables = max((trial.user_attrs.get(SEEDS, []) for trial in found.study.get_trials(deepcopy=False)), key=len)
    rounds = [" | ".join(" ".join(map(str, row)) for row in table) for table in tables]
    return list(zip(run_prompts(found), rounds, strict=False))


def commands(folder: Path, config: Path, storage: str | None = None) -> list[tuple[str, str]]:
    """What to type to get all of it again.

    Args:
        folder: of the run.
        config: file that the configuration was written to.
        storage: of the run, where it is not in the folder.
    """
    here, again = shlex.quote(str(folder)), shlex.quote(f"{folder}-again")
    artifacts = shlex.quote(str(folder / "artifacts"))
    study = shlex.quote(without_password(storage_url(folder, storage)))
    found = [
        ("the run, anew", f"fabric-bo optimize {shlex.quote(str(config))} --output {again}"),
        ("more trials", f"fabric-bo resume {here} --trials N"),
        ("the comparison", f"fabric-bo compare {here}"),
        ("this report", f"fabric-bo report {here}"),
    ]
    if not study.startswith("grpc:"):  # of which the dashboard knows nothing
        found.append(("every trial with its images", f"optuna-dashboard {study} --artifact-dir {artifacts}"))
    return found
