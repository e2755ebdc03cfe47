"""Measures the shipped models against the gates, prints the figures, and writes them into the cards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from diffusers import StableDiffusionPipeline

from experiments.embedded import shipped
from experiments.embedded.gates import emoji_gates, emoji_steering, steering_gates
from experiments.embedded.gates import model_gates as gates
from experiments.embedded.gates.cards import write_cards
from experiments.embedded.gates.emoji_cards import EMOJI_CARDS
from experiments.embedded.gates.rahf_gate import rahf_gate
from experiments.embedded.gates.rahf_uses import uses_gate
from experiments.embedded.gates.result import GateResult, share
from experiments.embedded.gates.scene_cards import SCENE_CARDS
from experiments.embedded.gates.steering import SESSION_STEPS, STEPS
from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.shipped import Judge
from experiments.embedded.world.world import World

FIGURES = {
    "scenes": Path("experiments/embedded/weights/figures.json"),
    "emoji": Path("experiments/embedded/weights/emoji-figures.json"),
}
CARDS = {cards.world: cards for cards in (SCENE_CARDS, EMOJI_CARDS)}
_MEGABYTES = 60  # of all shipped weights together

Gates = dict[int, Callable[[], GateResult]]


def gates_of(world: World, root: Path, effort: float) -> Gates:
    """Gate number to measurement; models are read when a gate asks for them."""
    return (_scene_gates if world.name == "scenes" else _emoji_gates)(world, root, partial(share, effort=effort))


def _scene_gates(world: World, root: Path, part: Callable[[int], int]) -> Gates:
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
        8: lambda: rahf_gate(
            shipped.read_rahf(root), generator(), shipped.read_preference(root), clip(), part(2000), part(96)
        ),
        9: lambda: uses_gate(
            *(shipped.read_rahf(root), generator(), clip(), shipped.read_classifier(root)),
            part(96),
            part(SESSION_STEPS),
        ),
    }


def _emoji_gates(world: World, root: Path, part: Callable[[int], int]) -> Gates:
    def models() -> tuple[StableDiffusionPipeline, AttributeClassifier, World]:
        return shipped.read_generator(root, "emoji"), shipped.read_classifier(root, "emoji"), world

    steps = part(emoji_steering.STEPS)
    return {
        1: lambda: emoji_gates.codec_gate(*models(), part(1024)),
        2: lambda: emoji_gates.clip_gate(shipped.read_clip(root, "emoji"), world, part(16)),
        4: lambda: emoji_gates.generator_gate(*models(), part(256), steps),
        6: lambda: emoji_gates.feedback_gate(*models(), part(96), steps),
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


def evaluate(
    root: Path, world: World, numbers: tuple[int, ...] | None = None, *, cards: bool = False, effort: float = 1.0
) -> bool:
    """Measures the gates of a world and prints them as they come.

    Args:
        root: root of the shipped files; the repository, or where a training wrote to.
        world: whose models are measured.
        numbers: the gates to measure; all that the world has by default.
        cards: whether to write figures and cards under `root`.
        effort: share of the pictures, prompts, settings and denoising steps to measure with; less is quicker and proves
            less.

    Returns:
        Whether all of them passed.

    Raises:
        ValueError: the world has no such gate.
        FileNotFoundError: a model has not been trained.
    """
    path, measurements = root / FIGURES[world.name], gates_of(world, root, effort)
    figures = json.loads(path.read_text()) if path.exists() else {}
    if lacking := sorted(set(numbers or ()) - set(measurements)):
        raise ValueError(f"gate: {lacking[0]}; allowed with {world.name}: {', '.join(map(str, measurements))}")
    passed = True
    for number in numbers or tuple(measurements):
        began = time.monotonic()
        verdict = measurements[number]()
        passed &= verdict.passed
        print(show(number, verdict), f"  ({time.monotonic() - began:.0f} s)", sep="\n", flush=True)
        figures[str(number)] = _record(verdict)
    size = shipped.total_bytes(root) / 1e6
    fits = size <= _MEGABYTES
    print(f"All weights: {size:.1f} MB, at most {_MEGABYTES}: {'passed' if fits else 'FALLS SHORT'}")
    if cards:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")
        write_cards(root, CARDS[world.name], figures, effort)
    return passed and fits
