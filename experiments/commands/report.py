"""`fabric-bo report`: what a run found, as one HTML file and as plots; of a session of the studio the file alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.commands.result import CommandResult
from experiments.files.atomic import atomic_write
from experiments.report.facts import config_text
from experiments.report.findings import Findings, read_findings
from experiments.report.run_page import draw, page
from experiments.report.session_page import session_page
from experiments.run.progress import Progress
from experiments.run.study import is_session, read_study, stored_config

FILE = "report.html"


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The files that were written.

    Raises:
        ValueError: there is no run, or nothing in it to report; the message is one line.
    """
    path = options.output or options.folder / FILE
    if is_session(stored_config(options.folder)):
        return _session(options.folder, options.study, path)
    progress.doing("reading the run")
    found = read_findings(options.folder)
    progress.doing("drawing")
    plots, folder = report(found, path), path.with_suffix("")
    return CommandResult(f"{path}, with {plots} plots in {folder}", {"report": str(path), "plots": str(folder)})


def _session(folder: Path, name: str, path: Path) -> CommandResult:
    _write(path, session_page(folder, path, *read_study(folder, name)).encode())
    return CommandResult(str(path), {"report": str(path), "plots": None})


def report(found: Findings, path: Path) -> int:
    """Writes the page, and beside it a folder of the same name with plots and configuration.

    Args:
        found: of the run.
        path: of the page.

    Returns:
        How many plots there are.

    Raises:
        ValueError: the page would have the name of its folder.
    """
    folder = path.with_suffix("")
    if folder == path:
        raise ValueError(f"output: {path}; allowed: a file that ends in .html")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    _write(config, config_text(found).encode())
    plots = draw(found)
    drawn = [plot for plots_of_section in plots.values() for plot in plots_of_section]
    for plot in drawn:
        _write(folder / f"{plot.plot.name}.png", plot.png)
    _write(path, page(found, plots, path, config).encode())
    return len(drawn)


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(content)
