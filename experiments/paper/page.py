"""One page with a verdict for each claim, and the paper's figures drawn anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.files.html import template
from experiments.paper.bench import Setup
from experiments.paper.verdicts import ClaimVerdict
from experiments.report.style import Plot, drawn

_FOLDERS = (Path(__file__).parent, Path(__file__).parents[1] / "report")


def paper_page(setup: Setup, found: Sequence[ClaimVerdict], plots: Sequence[Plot], notes: Sequence[str]) -> str:
    """The page as HTML; whatever comes from outside is escaped.

    Args:
        setup: how arms were played.
        found: one for each claim.
        plots: of the experiments.
        notes: what to be aware of.
    """
    said = Counter(one.said for one in found)
    return template("page.html.jinja", _FOLDERS).render(
        model=setup.sources.model,
        prompts=setup.prompts,
        steps=setup.steps,
        verdicts=found,
        counts={name: said[name] for name in ("holds", "reversed", "undecided")},
        notes=notes,
        figures=[drawn(plot) for plot in plots],
    )
