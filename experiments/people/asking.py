"""What people are asked in a run, as its configuration says."""

from __future__ import annotations

from optuna.study import Study

from experiments.config.schema import RunConfig
from experiments.people.choices import StudyChoices
from experiments.people.questions import Questions
from experiments.people.ratings import StudyRatings
from experiments.run.artifacts import Artifacts


def questions_of(study: Study, config: RunConfig, artifacts: Artifacts) -> Questions:
    """Those of a run.

    Args:
        study: of the run.
        config: of it; says how people are asked.
        artifacts: of it.
    """
    kind = StudyChoices if config.people.by_choice else StudyRatings
    return kind(study, config.output, config.people.ratings, artifacts)
