"""Measures the shipped models against the gates, prints the figures, and writes them into the cards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from diffusers import StableDiffusionPipeline

from experiments.embedded import shipped
from experiments.embedded.gates import model_gates as gates
from experiments.embedded.gates import steering_gates
from experiments.embedded.gates.cards import share, write_cards
from experiments.embedded.gates.model_gates import GateResult
from experiments.embedded.gates.steering import SESSION_STEPS, STEPS
from experiments.embedded.shipped import Judge

FIGURES = Path("experiments/embedded/weights/figures.json")


def _gates(root: Path, effort: float) -> dict[int, Callable[[], GateResult]]:
    """Gate number to measurement; models are read when a gate asks for them."""
    part = partial(share, effort=effort)

    def generator() -> StableDiffusionPipeline:
        return shipped.read_generator(root)

    def clip() -> Judge:
        return shipped.read_clip(root)

    return {
        1: lambda: gates.codec_gate(generator(), shipped.read_classifier(root), part(1024)),
        2: lambda: gates.clip_gate(clip(), part(256), part(20)),
        3: lambda: gates.preference_gate(shipped.read_preference(root), part(500)),
        4: lambda: gates.generator_gate(generator(), shipped.read_classifier(root), part(256)),
        5: lambda: gates.speed_gate(generator(), part(7)),
        6: lambda: steering_gates.feedback_gate(generator(), clip(), part(96), part(SESSION_STEPS)),
        7: lambda: steering_gates.settings_gate(generator(), clip(), part(32), part(40), part(STEPS)),
    }


def show(number: int, verdict: GateResult) -> str:
    """The lines that are printed for a gate."""
    lines = [f"Gate {number}: {verdict.title}: {'passed' if verdict.passed else 'FALLS SHORT'}"]
    for check in verdict.checks:
        mark, sign = ("ok" if check.passed else "--"), ("at most" if check.at_most else "at least")
        lines.append(f"  {mark} {check.name:<52}{check.value:>9.3f}   {sign} {check.bound:g}")
    lines += [f"     {name:<52}{value:>9.3f}" for name, value in verdict.notes.items()]
    return "\n".join(lines)


def _record(verdict: GateResult) -> dict[str, object]:
    return {
        "title": verdict.title,
        "passed": verdict.passed,
        "checks": {c.name: [c.value, c.bound, c.at_most] for c in verdict.checks},
        "notes": verdict.notes,
    }


def evaluate(root: Path, numbers: tuple[int, ...], *, cards: bool = False, effort: float = 1.0) -> bool:
    """Measures gates and prints them as they come.

    Args:
        root: root of the shipped files; the repository, or where a training wrote to.
        numbers: the gates to measure, 1 to 7.
        cards: whether to write figures and cards under `root`.
        effort: share of the scenes, prompts, settings and denoising steps to measure with; less is quicker and proves
            less.

    Returns:
        Whether all of them passed.
    """
    path = root / FIGURES
    figures = json.loads(path.read_text()) if path.exists() else {}
    passed = True
    for number in numbers:
        began = time.monotonic()
        verdict = _gates(root, effort)[number]()
        passed &= verdict.passed
        print(show(number, verdict), f"  ({time.monotonic() - began:.0f} s)", sep="\n", flush=True)
        figures[str(number)] = _record(verdict)
    size = shipped.total_bytes(root) / 1e6
    print(f"All weights: {size:.1f} MB, at most 30: {'passed' if size <= 30 else 'FALLS SHORT'}")
    if cards:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")
        write_cards(root, figures, effort)
    return passed and size <= 30
