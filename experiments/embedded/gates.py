"""The gates that the embedded model has to pass, each a function from the shipped models to figures and a verdict.

All scenes are held out: their keys are used nowhere in training, and those that the generator is asked for are of
(shape, colour, background) combinations that it never saw.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

import torch
from diffusers import StableDiffusionPipeline
from scipy import stats
from torch import Tensor

from experiments.embedded.captions import FULL_PROMPT, captions
from experiments.embedded.classifier import AttributeClassifier
from experiments.embedded.pool import to_signed
from experiments.embedded.preference import OPTIONS, draw_choices, pictures_of
from experiments.embedded.render import render
from experiments.embedded.scenes import ATTRIBUTES, COLUMN, STATED, generator_for, sample
from experiments.embedded.shipped import Judge, Preference
from experiments.embedded.steering import (
    PAPER_SETTINGS,
    draw_targets,
    measure_closeness,
    score_settings,
    sobol_settings,
)
from fabric.feedback import FabricGenerator

GENERATOR_STEPS = 16
GENERATOR_GUIDANCE = 4.0


@dataclass
class Verdict:
    """What a gate measured.

    Attributes:
        title: of the gate.
        checks: what was measured, its value, the least (or most, where `at_most`) that passes.
        notes: further figures, not judged.
    """

    title: str
    checks: list[Check] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True)
class Check:
    """One figure against its bound."""

    name: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def passed(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def interval(differences: Tensor) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % confidence interval (Student's t); differences has shape N."""
    values = differences.double().numpy()
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(values.mean()), float(low), float(high)


@torch.no_grad()
def codec_gate(pipeline: StableDiffusionPipeline, classifier: AttributeClassifier) -> Verdict:
    """Gate 1: reconstructions are close to originals, in pixels and to the classifier."""
    scenes = sample(1024, generator_for("gate", "codec"))
    images = to_signed(render(scenes))
    decoded = torch.cat(
        [
            pipeline.vae.decode(pipeline.vae.encode(part).latent_dist.mean).sample.clamp(-1, 1)
            for part in images.split(64)
        ]
    )
    error = (decoded - images).square().mean(dim=(1, 2, 3))
    agreement = (classifier.read(decoded) == classifier.read(images)).float().mean(0)
    truth = (classifier.read(images) == scenes.attributes).float().mean(0)
    verdict = Verdict("Codec")
    psnr = float((10 * torch.log10(4 / error)).mean())
    verdict.checks = [
        Check("PSNR, dB", psnr, 30.0),
        Check("colour read alike", float(agreement[COLUMN["colour"]]), 0.97),
        Check("shape read alike", float(agreement[COLUMN["shape"]]), 0.90),
    ]
    verdict.notes = {f"{name} read alike": float(agreement[c]) for name, c in COLUMN.items()}
    verdict.notes |= {f"classifier right on {name}": float(truth[c]) for name, c in COLUMN.items()}
    return verdict


def clip_gate(judge: Judge, count: int = 256) -> Verdict:
    """Gate 2: the CLIP judge sees every attribute, more than jitter, and finds the target among 100."""
    generator = generator_for("gate", "clip")
    scenes = sample(count, generator)
    anchor = judge.embed(to_signed(render(scenes)))
    twins = judge.embed(to_signed(render(scenes.rejittered(generator))))
    jitter = (anchor * twins).sum(1)
    verdict = Verdict("CLIP judge")
    for name in ATTRIBUTES:
        other = judge.embed(to_signed(render(scenes.changed(name, generator))))
        drop = float((jitter - (anchor * other).sum(1)).mean())
        verdict.checks.append(Check(f"{name} changed: similarity falls by", drop, 0.1))
    rights = []
    for k in range(20):
        targets = sample(100, generator_for("gate", "retrieval", k))
        again = targets.rejittered(generator_for("gate", "retrieval again", k))
        cosine = judge.similarity(to_signed(render(targets)), to_signed(render(again)))
        rights.append((cosine.argmax(1) == torch.arange(100)).float().mean())
    verdict.checks.append(Check("target first among 100", float(torch.stack(rights).mean()), 0.90))
    texts = judge.embed_text(captions(scenes[:100], tuple(ATTRIBUTES)))
    found = (texts @ anchor[:100].T).argmax(1) == torch.arange(100)
    verdict.notes = {
        "similarity of twins": float(jitter.mean()),
        "picture first among 100 for its full caption": float(found.float().mean()),
    }
    return verdict


def preference_gate(preference: Preference, prompts: int = 500) -> Verdict:
    """Gate 3: the preference judge orders pairs as the ground truth does."""
    generator = generator_for("gate", "preference")
    choice = draw_choices(prompts, generator)
    images = pictures_of(choice, generator)
    repeated = [prompt for prompt in choice.prompts for _ in range(OPTIONS)]
    parts = zip(range(0, len(repeated), 200), images.split(200), strict=True)
    scores = torch.cat([preference.score(repeated[k : k + 200], part) for k, part in parts])
    margin, worth = (
        (x.unflatten(0, (-1, OPTIONS))[:, :, None] - x.unflatten(0, (-1, OPTIONS))[:, None])
        for x in (scores, choice.utility)
    )
    pairs = torch.triu(torch.ones_like(margin, dtype=torch.bool), diagonal=1) & (worth != 0)
    right = (margin.sign() == worth.sign())[pairs].float()
    clear = right[worth[pairs].abs() > 0.5]
    return Verdict(
        "Preference judge",
        [Check("pairs as the ground truth says", float(right.mean()), 0.85)],
        {
            "pairs": float(len(right)),
            "right where utilities differ by over 0.5": float(clear.mean()),
            "rank correlation with the utility": float(
                stats.spearmanr(scores.numpy(), choice.utility.numpy()).statistic
            ),
        },
    )


def generator_gate(
    pipeline: StableDiffusionPipeline, classifier: AttributeClassifier, count: int = 256
) -> Verdict:
    """Gate 4: what full prompts state is in the picture, as the classifier reads it."""
    scenes = sample(count, generator_for("gate", "generator"), held_out=True)
    fabric = FabricGenerator(pipeline)
    guidance = torch.full((32,), GENERATOR_GUIDANCE)
    prompts, read = captions(scenes, FULL_PROMPT), []
    for start in range(0, count, 32):
        seeds = list(range(start, start + 32))
        images = fabric(prompts[start : start + 32], seeds, guidance, GENERATOR_STEPS)
        read.append(classifier.read(images))
    kept = (torch.cat(read) == scenes.attributes).float().mean(0)
    bounds = {"shape": 0.85, "colour": 0.95, "background": 0.98, "position": 0.80}
    checks = [Check(f"{name} kept", float(kept[COLUMN[name]]), bounds[name]) for name in STATED]
    return Verdict("Generator", checks)


def speed_gate(pipeline: StableDiffusionPipeline, repeats: int = 7) -> Verdict:
    """Gate 5: seconds for 4 images, 12 steps, guidance on, no feedback; median."""
    prompts = ["a red star at night", "a blue ring on sand", "a pink heart", "a teal moon at dusk"]
    seconds = []
    for _ in range(repeats + 1):
        noise = generator_for("gate", "speed")
        began = time.perf_counter()
        pipeline(
            prompts,
            num_inference_steps=12,
            guidance_scale=GENERATOR_GUIDANCE,
            generator=noise,
            output_type="pt",
        )
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds[1:])
    check = Check("4 images, 12 steps, guidance: seconds", median, 1.2, at_most=True)
    return Verdict("Speed", [check], {"threads": float(torch.get_num_threads())})


def feedback_gate(pipeline: StableDiffusionPipeline, judge: Judge, count: int = 32) -> Verdict:
    """Gate 6: sessions of the paper's protocol come closer to a hidden target."""
    targets = draw_targets(count, seed=6)
    fabric = FabricGenerator(pipeline)
    measured = measure_closeness(
        fabric, judge.similarity, targets, PAPER_SETTINGS["paper-target"]
    )
    gap = float((measured.same_attributes - measured.same_prompt).mean())
    steered = interval(measured.steered - measured.without)
    shown = interval(measured.shown - measured.without)
    return Verdict(
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
            "similarity, last round of sessions": float(measured.steered.mean()),
            "similarity, target as liked image": float(measured.shown.mean()),
            "session: interval's upper end": steered[2] / gap,
            "target liked: interval's upper end": shown[2] / gap,
        },
    )


def settings_gate(pipeline: StableDiffusionPipeline, judge: Judge, count: int = 32) -> Verdict:
    """Gate 7: settings differ by more than noise, and a better one than the paper's can be found."""
    targets = draw_targets(count, seed=7)
    fabric = FabricGenerator(pipeline)
    settings = [*PAPER_SETTINGS.values(), *sobol_settings(40)]
    scores = score_settings(fabric, judge.similarity, targets, settings, seed=0)
    paper, drawn = scores[: len(PAPER_SETTINGS)], scores[len(PAPER_SETTINGS) :]
    errors = (drawn - drawn.mean(0)).std(dim=1) / len(targets) ** 0.5
    spread = float(drawn.mean(1).std() / errors.median())
    best, fixed = int(drawn.mean(1).argmax()), int(paper.mean(1).argmax())
    gain = drawn[best] - paper[fixed]
    pair = [settings[len(PAPER_SETTINGS) + best], settings[fixed]]
    again = torch.stack(
        [score_settings(fabric, judge.similarity, targets, pair, seed=s) for s in (1, 2, 3)]
    ).mean(0)
    fresh = again[0] - again[1]
    return Verdict(
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
            "best guidance": pair[0].guidance,
            **{f"similarity, {n}": float(r.mean()) for n, r in zip(PAPER_SETTINGS, paper, strict=True)},
        },
    )


def _errors(differences: Tensor) -> float:
    """Mean over its standard error."""
    return float(differences.mean() / differences.std() * len(differences) ** 0.5)
