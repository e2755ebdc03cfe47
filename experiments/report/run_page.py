"""The page: everything in one file that needs no other."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.files.html import address, content_policy, template
from experiments.report import facts, headline, tables
from experiments.report.by_round import basis
from experiments.report.data import downloads
from experiments.report.findings import Findings
from experiments.report.parallel import parallel_data, trial_table
from experiments.report.pictures import SHOWN, SideBySide, given_pictures, held_out_pictures, run_pictures, run_prompts
from experiments.report.plots_comparison import comparison_plots
from experiments.report.plots_model import front_plots, model_plots
from experiments.report.plots_search import about_window, convergence_plots, parallel_plots
from experiments.report.style import Drawn, drawn
from experiments.report.tables_comparison import comparison_tables, prompt_table
from experiments.report.theme import dark_style

_HERE = Path(__file__).parent
_SCRIPTS = ("vendor/echarts.min.js", "static/parallel.js", "static/gallery.js", "static/sort.js")


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
        "comparison": comparison_plots(found, found.comparison) if found.comparison else [],
        "convergence": convergence_plots(found),
        "parameters": model_plots(found),
        "parallel": parallel_plots(found),
        "front": front_plots(found),
    }
    return {name: [drawn(plot) for plot in plots] for name, plots in sections.items()}


def page(found: Findings, plots: dict[str, list[Drawn]], path: Path, config: Path) -> str:
    """The page as HTML; whatever comes from outside is escaped.

    Args:
        found: of the run.
        plots: by section.
        path: of the page, where images at their own size are looked for from.
        config: file that the configuration was written to.
    """
    images, about_images = _images(found)
    scripts = [(_HERE / name).read_text() for name in _SCRIPTS]
    return template("run_page.html.jinja", [_HERE]).render(
        found=found,
        policy=content_policy(scripts),
        scripts=scripts,
        dark_style=dark_style(),
        title=headline.title(found),
        headline=headline.headline(found),
        notes=headline.notes(found),
        figures=headline.key_figures(found),
        basis=basis(found.comparison) if found.comparison else "",
        downloads=downloads(found),
        settings=tables.settings_table(found),
        parameter_notes=tables.parameter_notes(found),
        about_settings=_about_settings(found),
        inexact=[trial.preset for trial in found.tried if trial.preset and not trial.exact],
        recipes=_recipes(found),
        given=given_pictures(found, next(iter(tables.chosen_settings(found).values()))),
        images=images,
        about_images=about_images,
        address=partial(address, path.parent),
        shown=SHOWN,
        across=lambda count: count if count <= 3 else math.ceil(math.sqrt(count)),
        plots=plots,
        by_prompt=prompt_table(found.comparison) if found.comparison and found.comparison.differences else None,
        numbers=comparison_tables(found.comparison) if found.comparison else [],
        compare=headline.compare_command(found),
        parallel=parallel_data(found),
        trials=trial_table(found),
        about_window=about_window(found),
        counts=facts.counts(found),
        about_chance=facts.ABOUT_CHANCE,
        commands=facts.commands(found.folder, config, found.config.storage),
        seeds=facts.seeds(found),
        versions=facts.versions_of(found),
        config=facts.config_text(found),
        image_seeds=facts.image_seeds(found),
    )


def _about_settings(found: Findings) -> str:
    if found.recommended is None:
        return (
            f"Each of {len(found.front)} settings trades one objective for another; the table has some of them. Gains "
            "are over no feedback, as the model believes, with 95 % intervals."
        )
    return (
        f"Trial {found.recommended[0].number}, of all that were tried the best by the model's mean: the luckiest value "
        f"need not be the best setting. Gains are over {found.over}; on the run's own prompts, with 95 % intervals."
    )


def _recipes(found: Findings) -> list[Takeaway]:
    chosen = tables.chosen_settings(found)
    if found.recommended is None:
        return [Takeaway(f"Settings of {name}", params.to_yaml(found.knobs)) for name, params in chosen.items()]
    best = shlex.quote(str(found.folder / "best.yaml"))
    command = f'fabric-bo generate "A PROMPT" --params {best} --liked LIKED.png --disliked DISLIKED.png'
    return [Takeaway("Recommended settings", params.to_yaml(found.knobs), command) for params in chosen.values()]


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
