"""`fabric-bo paper`: the FABRIC paper's claims, tried on a model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from experiments.bench.options import check_ranges
from experiments.commands.choices import SCHEDULERS
from experiments.commands.result import CommandResult
from experiments.files.atomic import atomic_write
from experiments.paper.bench import PaperBench, Setup
from experiments.paper.claims import CLAIMS, NUMBERS, Claim, tried_by
from experiments.paper.page import paper_page
from experiments.paper.plots import plots
from experiments.paper.tasks import Sources
from experiments.paper.verdicts import ClaimVerdict, verdicts
from experiments.run.progress import Progress
from fabric.models import EMBEDDED, EMBEDDED_EMOJI, checked_device

_SHOWN = (
    "This model's U-Net was shown in training how one picture tells about another, which makes E2 to E6 easier than in "
    "the paper."
)
_WITHOUT = "Left out, since {}: {}."


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The page, and a verdict for each claim.

    Raises:
        ValueError: an option is wrong; the message is one line.
    """
    setup = _setup(options)
    numbers = options.experiments or list(NUMBERS)
    claims, notes = _possible([claim for claim in CLAIMS if claim.number in numbers], setup)
    if not claims:
        raise ValueError(f"experiments: {', '.join(numbers)} cannot be tried; {' '.join(notes)}")
    bench = PaperBench(setup, options.output, progress.doing)
    arms = tried_by(tuple(claims))
    for kind in dict.fromkeys(kind for kind, _ in arms):
        bench.tasks(kind)  # what cannot be read is said before anything is played
    for place, (kind, arm) in enumerate(arms):
        bench.record(kind, arm)
        progress.doing(f"{place + 1} of {len(arms)} arms")
    found = verdicts(claims, bench.record)
    page = options.output / "paper.html"
    shown = list(dict.fromkeys(claim.number for claim in claims))
    with atomic_write(page) as unfinished:
        unfinished.write_text(paper_page(setup, found, plots(shown, setup.has, bench.record), notes), encoding="utf-8")
    values = [_values(one) for one in found]
    with atomic_write(options.output / "verdicts.json") as unfinished:
        unfinished.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    lines = [f"{one.said:<10} {one.claim.number:<4} {one.claim.text}: {one.difference}" for one in found]
    return CommandResult("\n".join([*lines, *notes, str(page)]), {"page": str(page), "verdicts": values})


def _setup(options: argparse.Namespace) -> Setup:
    unknown = [number for number in options.experiments if number not in NUMBERS]
    if unknown:
        raise ValueError(f"experiments: {unknown[0]} is unknown; allowed: {', '.join(NUMBERS)}")
    check_ranges(options, dict.fromkeys(("prompts", "steps", "batch"), (1, None)))
    checked_device(options.device)
    sources = Sources(options.model, options.prompt_file, options.pairs)
    setup = Setup(
        sources,
        prompts=options.prompts,
        steps=options.steps,
        seed=options.seed,
        lora=options.preference_lora,
        batch=options.batch,
        device=options.device,
        dtype=options.dtype,
        scheduler=options.scheduler or SCHEDULERS[0],
    )
    return replace(setup, prompts=2, steps=2, images=2) if options.smoke else setup


def _possible(claims: Sequence[Claim], setup: Setup) -> tuple[list[Claim], list[str]]:
    """Claims that can be tried, and what is to be said of that and of the model."""
    notes = [_SHOWN] if setup.sources.model in (EMBEDDED, EMBEDDED_EMOJI) else []
    possible = list[Claim]()
    left_out: dict[str, list[str]] = {}
    for claim in claims:
        reason = _reason(claim, setup)
        if reason is None:
            possible.append(claim)
        elif claim.number not in left_out.setdefault(reason, []):
            left_out[reason].append(claim.number)
    return possible, notes + [_WITHOUT.format(reason, ", ".join(numbers)) for reason, numbers in left_out.items()]


def _reason(claim: Claim, setup: Setup) -> str | None:
    """Why a claim cannot be tried."""
    if any(arm.lora for _, arm in claim.tried) and setup.lora is None:
        return "there is no --preference-lora"
    for kind in sorted({kind for kind, _ in claim.tried}):
        if not setup.has(kind):
            return f"{setup.sources.model} has no prompts or no scorer for the experiment {kind}"
    if any(side.statistic.name.startswith("classifier") for side in claim.sides) and not setup.has("contradicted"):
        return "only embedded models have a classifier"
    return None


def _values(one: ClaimVerdict) -> dict[str, object]:
    """A verdict as plain values."""
    return {
        "number": one.claim.number,
        "claim": one.claim.text,
        "section": one.claim.section,
        "said": one.said,
        "p": one.p,
        **asdict(one.difference),
    }
