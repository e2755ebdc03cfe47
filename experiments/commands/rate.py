"""`fabric-bo rate`: people rate the images of a run, in the browser."""

from __future__ import annotations

import argparse
import os

from experiments.commands.result import CommandResult
from experiments.config.read import check_config
from experiments.people.asking import questions_of
from experiments.people.choices import StudyChoices, chooser_figures
from experiments.people.consensus import consensus
from experiments.people.questions import Questions
from experiments.people.ratings import StudyRatings
from experiments.people.web.server import application
from experiments.run.artifacts import artifacts_of
from experiments.run.progress import Progress
from experiments.run.storage import ENVIRONMENT
from experiments.run.study import CONFIG_FILE, adopt, read_study
from experiments.web.serving import hosts_of, listen, password_of, serve

_NOBODY = "nobody has said anything yet"


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Serves the page until it is stopped.

    Returns:
        What is known of the raters, where that was asked for.

    Raises:
        ValueError: there is no run in the folder and none of its name in the storage, or an option is wrong; one line.
    """
    if not (options.folder / CONFIG_FILE).exists() and (url := options.storage or os.environ.get(ENVIRONMENT)):
        adopt(options.folder, url)
    study, values = read_study(options.folder)
    config = check_config({**values, "output": str(options.folder)})
    questions = questions_of(study, config, artifacts_of(config))
    if options.raters:
        return _figures(questions)
    auth = password_of(options, progress)
    listening = listen(options.host, options.port)
    app = application(questions, config.people.repeats, hosts_of(options.host), auth)
    progress.close()
    serve(app, listening, "rating", "everything that is said is kept")
    return CommandResult("")


def _figures(questions: Questions) -> CommandResult:
    """What is known of those who answered."""
    if isinstance(questions, StudyChoices):
        return _choosers(questions)
    assert isinstance(questions, StudyRatings), "there are no other questions"
    return _raters(questions)


def _choosers(choices: StudyChoices) -> CommandResult:
    found = chooser_figures(choices.choices)
    lines = [f"{'rater':<24}{'choices':>8}{'ties':>7}{'as others':>11}{'repeats':>9}{'the same':>10}"]
    rows = []
    for name, its in sorted(found.items()):
        agreement, steadiness = ("–" if share is None else f"{share:.0%}" for share in (its.agreement, its.steadiness))
        lines.append(f"{name[:23]:<24}{its.given:>8}{its.ties:>7.0%}{agreement:>11}{its.repeats:>9}{steadiness:>10}")
        rows.append({"rater": name, **its._asdict()})
    return CommandResult("\n".join(lines) if found else _NOBODY, rows)


def _raters(ratings: StudyRatings) -> CommandResult:
    found = consensus(ratings.ratings).raters
    lines = [f"{'rater':<24}{'ratings':>8}{'stricter by':>12}{'off by':>8}{'repeats':>9}{'unsteady by':>13}"]
    rows = []
    for name, its in sorted(found.items()):
        steadiness = "–" if its.steadiness is None else f"{its.steadiness:.2f}"
        lines.append(
            f"{name[:23]:<24}{its.count:>8}{-its.bias:>12.2f}{its.deviation:>8.2f}{its.repeats:>9}{steadiness:>13}"
        )
        rows.append({"rater": name, **vars(its)})
    return CommandResult("\n".join(lines) if found else _NOBODY, rows)
