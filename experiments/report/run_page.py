"""The page: everything in one file that needs no other."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from experiments.files.html import template
from experiments.report import facts, tables
from experiments.report.findings import Findings, same_settings
from experiments.report.pictures import SHOWN, SideBySide, given_pictures, held_out_pictures, run_pictures, run_prompts
from experiments.report.plots_comparison import comparison_plots
from experiments.report.plots_model import front_plots, model_plots
from experiments.report.plots_search import convergence_plots, parallel_plots
from experiments.report.style import Drawn, drawn
from fabric.models import EMBEDDED_MODELS


@dataclass(frozen=True)
class Note:
    """Something to be aware of.

    Attributes:
        text: it.
        command: that mends it.
    """

    text: str
    command: str = ""


@dataclass(frozen=True)
class Takeaway:
    """Settings to take away.

    Attributes:
        name: of them.
        text: YAML.
        command: that uses them.
    """

    name: str
    text: str
    command: str = ""


def draw(found: Findings) -> dict[str, list[Drawn]]:
    """All plots of a run by the section of the page that they are in."""
    sections = {
        "comparison": comparison_plots(found.comparison) if found.comparison else [],
        "convergence": convergence_plots(found),
        "parameters": [*model_plots(found), *parallel_plots(found)],
        "front": front_plots(found),
    }
    return {name: [drawn(plot) for plot in plots] for name, plots in sections.items()}


def page(found: Findings, plots: dict[str, list[Drawn]], config: Path) -> str:
    """The page as HTML; whatever comes from outside is escaped.

    Args:
        found: of the run.
        plots: by section.
        config: file that the configuration was written to.
    """
    images, about_images = _images(found)
    return template("run_page.html.jinja", [Path(__file__).parent]).render(
        found=found,
        title=_title(found),
        verdict=_verdict(found),
        notes=_notes(found),
        figures=tables.key_figures(found),
        settings=tables.settings_table(found),
        parameter_notes=tables.parameter_notes(found),
        about_settings=_about_settings(found),
        inexact=[trial.preset for trial in found.tried if trial.preset and not trial.exact],
        recipes=_recipes(found),
        given=given_pictures(found, next(iter(tables.chosen_settings(found).values()))),
        images=images,
        about_images=about_images,
        shown=SHOWN,
        across=lambda count: count if count <= 3 else math.ceil(math.sqrt(count)),
        plots=plots,
        numbers=tables.comparison_tables(found.comparison) if found.comparison else [],
        compare=compare_command(found),
        counts=facts.counts(found),
        commands=facts.commands(found.folder, config, found.config.storage),
        seeds=facts.seeds(found),
        versions=facts.versions_of(found),
        config=facts.config_text(found),
        image_seeds=facts.image_seeds(found),
    )


def compare_command(found: Findings) -> str:
    """What makes the comparison; of a front somebody has to choose first."""
    command = f"fabric-bo compare {shlex.quote(str(found.folder))}"
    return command if len(found.objectives) == 1 else f"{command} --params CHOSEN.yaml"


def _title(found: Findings) -> str:
    model = (
        f"the model {found.config.model.name}"
        if found.config.model.name in EMBEDDED_MODELS
        else found.config.model.name
    )
    return f"FABRIC on {model}, tuned for {' and '.join(found.objectives)}"


def _verdict(found: Findings) -> str:
    """The comparison's; before there is one, what the model believes."""
    if found.comparison is not None:
        return found.comparison.verdict
    if found.recommended is None:
        return f"{len(found.front)} of {len(found.tried)} settings are on the front: none is better in everything."
    best = found.recommended[0]
    return (
        f"Of {len(found.tried)} trials, trial {best.number} is recommended: the model believes that it gains "
        f"{tables.interval(best)} (95 %) over no feedback on the run's own prompts and seeds."
    )


def _notes(found: Findings) -> list[Note]:
    """What a reader must not overlook."""
    if found.comparison is None:
        return [
            Note(
                "Not yet compared with fixed FABRIC on held-out prompts or fresh seeds. To do so:",
                compare_command(found),
            )
        ]
    tuned = found.comparison.arms[0].arm
    if found.recommended is not None and not same_settings(tuned.params, found.recommended[1]):
        text = f"The comparison is of other settings ({tuned.name}) than the run now recommends. To renew it:"
        return [Note(text, compare_command(found))]
    return []


def _about_settings(found: Findings) -> str:
    if found.recommended is None:
        return (
            f"Each of {len(found.front)} settings trades one objective for another; the table has some of them. Gains "
            "are over no feedback, as the model believes, with 95 % intervals."
        )
    return (
        f"Trial {found.recommended[0].number}, of all that were tried the best by the model's mean: the luckiest value "
        "need not be the best setting. Gains are over no feedback, on the run's own prompts, with 95 % intervals."
    )


def _recipes(found: Findings) -> list[Takeaway]:
    chosen = tables.chosen_settings(found)
    if found.recommended is None:
        return [Takeaway(f"Settings of {name}", params.to_yaml()) for name, params in chosen.items()]
    best = shlex.quote(str(found.folder / "best.yaml"))
    command = f'fabric-bo generate "A PROMPT" --params {best} --liked LIKED.png --disliked DISLIKED.png'
    return [Takeaway("Recommended settings", params.to_yaml(), command) for params in chosen.values()]


def _images(found: Findings) -> tuple[list[SideBySide], str]:
    """Images to show, and what they are."""
    how = "Captions: mean and best score of the round."
    if found.comparison is not None and (shown := held_out_pictures(found, found.comparison)):
        of = f" The first {len(shown)} of {len(found.comparison.prompts)}." if len(shown) < _all(found) else ""
        own = found.comparison.prompts == run_prompts(found)
        what = "The run's own prompts, with seeds" if own else "Held-out prompts and seeds"
        return shown, f"{what} that the run never saw.{of} {how}"
    shown = run_pictures(found)
    if not shown:
        return [], "The images of this run are not in its folder."
    return shown, f"The run's own prompts, as there are no pictures of held-out ones yet. {how}"


def _all(found: Findings) -> int:
    return len(found.comparison.prompts) if found.comparison else 0
