"""`fabric-bo rate`: people rate the images of a run, in the browser."""

from __future__ import annotations

import argparse

from experiments.commands.result import CommandResult
from experiments.config.read import check_config
from experiments.people.consensus import consensus
from experiments.people.ratings import StudyRatings, ratings_of
from experiments.people.web.server import application
from experiments.run.artifacts import artifacts_of
from experiments.run.progress import Progress
from experiments.run.study import read_study
from experiments.web.serving import hosts_of, listen, password_of, serve


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Serves the page until it is stopped.

    Returns:
        What is known of the raters, where that was asked for.

    Raises:
        ValueError: there is no run in the folder, or an option is wrong; the message is one line.
    """
    study, values = read_study(options.folder)
    config = check_config({**values, "output": str(options.folder)})
    ratings = ratings_of(study, config, artifacts_of(config))
    if options.raters:
        return _raters(ratings)
    auth = password_of(options, progress)
    listening = listen(options.host, options.port)
    app = application(ratings, config.people.repeats, hosts_of(options.host), auth)
    progress.close()
    serve(app, listening, "rating", "every rating is kept")
    return CommandResult("")


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
    return CommandResult("\n".join(lines) if found else "nobody has rated anything yet", rows)
