"""Gates 6 and 7: images answer to feedback, and there is something to optimise."""

from __future__ import annotations

from diffusers import StableDiffusionPipeline
from torch import Tensor

from experiments.embedded.gates.result import Check, GateResult
from experiments.embedded.gates.steering import (
    PAPER_SETTINGS,
    SESSION_STEPS,
    STEPS,
    draw_targets,
    measure_closeness,
    score_settings,
    sobol_settings,
)
from experiments.embedded.shipped import Judge
from experiments.intervals import mean_interval
from fabric.generator import FabricGenerator

_SEEDS = (0, 1, 2, 3)
_FRESH_SEEDS = (4, 5, 6, 7)


def feedback_gate(
    pipeline: StableDiffusionPipeline, judge: Judge, count: int = 96, steps: int = SESSION_STEPS
) -> GateResult:
    """Gate 6: sessions of the paper's protocol come closer to a hidden target."""
    targets = draw_targets(count, seed=6)
    fabric = FabricGenerator(pipeline)
    measured = measure_closeness(fabric, judge.similarity, targets, PAPER_SETTINGS["paper-target"], steps)
    gap = float((measured.same_attributes - measured.same_prompt).mean())
    steered = mean_interval((measured.steered - measured.without).double().numpy())
    shown = mean_interval((measured.shown - measured.without).double().numpy())
    return GateResult(
        "Feedback",
        [
            Check("share of the gap closed by a session", steered[0] / gap, 0.25),
            Check("its interval's lower end", steered[1] / gap, 0.0),
            Check("share closed with the target as liked image", shown[0] / gap, 0.5),
            Check("its interval's lower end (target liked)", shown[1] / gap, 0.0),
        ],
        {
            "similarity, scenes of the same prompt": float(measured.same_prompt.mean()),
            "similarity, scenes of the same attributes": float(measured.same_attributes.mean()),
            "similarity, generated without feedback": float(measured.without.mean()),
            "similarity, first round of sessions": float(measured.first.mean()),
            "similarity, last round of sessions": float(measured.steered.mean()),
            "similarity, target as liked image": float(measured.shown.mean()),
            "session: interval's upper end": steered[2] / gap,
            "target liked: interval's upper end": shown[2] / gap,
        },
    )


def settings_gate(
    pipeline: StableDiffusionPipeline, judge: Judge, count: int = 32, drawn_settings: int = 40, steps: int = STEPS
) -> GateResult:
    """Gate 7: settings differ by more than noise, and a better one than the paper's can be found."""
    targets = draw_targets(count, seed=7)
    fabric = FabricGenerator(pipeline)
    settings = [*PAPER_SETTINGS.values(), *sobol_settings(drawn_settings)]
    scores = score_settings(fabric, judge.similarity, targets, settings, _SEEDS, steps)
    paper, drawn = scores[: len(PAPER_SETTINGS)], scores[len(PAPER_SETTINGS) :]
    errors = (drawn - drawn.mean(0)).std(dim=1) / len(targets) ** 0.5
    spread = float(drawn.mean(1).std() / errors.median())
    best, fixed = int(drawn.mean(1).argmax()), int(paper.mean(1).argmax())
    gain = drawn[best] - paper[fixed]
    pair = [settings[len(PAPER_SETTINGS) + best], settings[fixed]]
    again = score_settings(fabric, judge.similarity, targets, pair, _FRESH_SEEDS, steps)
    fresh = again[0] - again[1]
    return GateResult(
        "Something to optimise",
        [
            Check("spread of settings over a setting's paired error", spread, 3.0),
            Check("best over the best fixed, in errors", _errors(gain), 2.0),
            Check("the same on fresh seeds", _errors(fresh), 2.0),
        ],
        {
            "best setting": float(drawn[best].mean()),
            "best fixed setting (chosen on the same seeds)": float(paper[fixed].mean()),
            "standard deviation between settings": float(drawn.mean(1).std()),
            "median paired standard error": float(errors.median()),
            "gain on fresh seeds": float(fresh.mean()),
            "best strength": pair[0].strength,
            "best guidance": pair[0].guidance_scale,
            **{f"similarity, {n}": float(r.mean()) for n, r in zip(PAPER_SETTINGS, paper, strict=True)},
        },
    )


def _errors(differences: Tensor) -> float:
    """Mean over its standard error."""
    return float(differences.mean() / differences.std() * len(differences) ** 0.5)
