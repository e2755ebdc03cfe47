"""The gates that the models of the scenes have to pass, each a function from models to figures and a verdict.

All scenes are held out: their keys are used nowhere in training, and those that the generator is asked for are of
(shape, colour, background) combinations that it never saw.
"""

from __future__ import annotations

import statistics
import time

import torch
from diffusers import StableDiffusionPipeline
from scipy import stats
from torch import Tensor

from experiments.embedded.gates.result import Check, GateResult
from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.models.codec import reconstructions
from experiments.embedded.models.preference import OPTIONS, draw_choices, pictures_of
from experiments.embedded.shipped import Judge, Preference
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from fabric.generator import FabricGenerator, Request
from fabric.params import FabricParams
from fabric.seeding import generator_for

GENERATOR_STEPS = 16
GENERATOR_GUIDANCE = 4.0


def psnr(images: Tensor, originals: Tensor) -> float:
    """Mean ratio of peak signal to noise in dB, of pictures in [-1, 1]."""
    error = (images - originals).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())


@torch.no_grad()
def codec_gate(pipeline: StableDiffusionPipeline, classifier: AttributeClassifier, count: int = 1024) -> GateResult:
    """Gate 1: reconstructions are close to originals, in pixels and to the classifier."""
    scenes = SCENES.sample(count, generator_for("gate", "codec"))
    images = to_signed(SCENES.render(scenes))
    decoded = reconstructions(pipeline.vae, images)
    read = classifier.read(images)
    agreement = (classifier.read(decoded) == read).float().mean(0)
    truth = (read == scenes.attributes).float().mean(0)
    verdict = GateResult("Codec")
    verdict.checks = [
        Check("PSNR, dB", psnr(decoded, images), 30.0),
        Check("colour read alike", float(agreement[SCENES.column["colour"]]), 0.97),
        Check("shape read alike", float(agreement[SCENES.column["shape"]]), 0.90),
    ]
    verdict.notes = {f"{name} read alike": float(agreement[c]) for name, c in SCENES.column.items()}
    verdict.notes |= {f"classifier right on {name}": float(truth[c]) for name, c in SCENES.column.items()}
    return verdict


def clip_gate(judge: Judge, count: int = 256, galleries: int = 20) -> GateResult:
    """Gate 2: the CLIP judge sees every attribute, more than jitter, and finds the target among 100."""
    generator = generator_for("gate", "clip")
    scenes = SCENES.sample(count, generator)
    anchor = judge.embed(to_signed(SCENES.render(scenes)))
    twins = judge.embed(to_signed(SCENES.render(scenes.rejittered(generator))))
    jitter = (anchor * twins).sum(1)
    verdict = GateResult("CLIP judge")
    for name in SCENES.attributes:
        other = judge.embed(to_signed(SCENES.render(scenes.changed(name, generator))))
        drop = float((jitter - (anchor * other).sum(1)).mean())
        verdict.checks.append(Check(f"{name} changed: similarity falls by", drop, 0.1))
    rights = []
    for k in range(galleries):
        targets = SCENES.sample(100, generator_for("gate", "retrieval", k))
        again = targets.rejittered(generator_for("gate", "retrieval again", k))
        cosine = judge.similarity(to_signed(SCENES.render(targets)), to_signed(SCENES.render(again)))
        rights.append((cosine.argmax(1) == torch.arange(100)).float().mean())
    verdict.checks.append(Check("target first among 100", float(torch.stack(rights).mean()), 0.90))
    few = scenes[:100]
    texts = judge.embed_text(SCENES.captions(few, tuple(SCENES.attributes)))
    found = (texts @ anchor[:100].T).argmax(1) == torch.arange(len(few))
    verdict.notes = {
        "similarity of twins": float(jitter.mean()),
        "picture first among 100 for its full caption": float(found.float().mean()),
    }
    return verdict


def preference_gate(preference: Preference, prompts: int = 500) -> GateResult:
    """Gate 3: the preference judge orders pairs as the ground truth does."""
    generator = generator_for("gate", "preference")
    choice = draw_choices(prompts, generator)
    images = pictures_of(choice, generator)
    repeated = [prompt for prompt in choice.prompts for _ in range(OPTIONS)]
    parts = zip(range(0, len(repeated), 200), images.split(200), strict=True)
    scores = torch.cat([preference.score(repeated[k : k + 200], part) for k, part in parts])
    margin, utility = (
        (x.unflatten(0, (-1, OPTIONS))[:, :, None] - x.unflatten(0, (-1, OPTIONS))[:, None])
        for x in (scores, choice.utility)
    )
    pairs = torch.triu(torch.ones_like(margin, dtype=torch.bool), diagonal=1) & (utility != 0)
    right = (margin.sign() == utility.sign())[pairs].float()
    clear = right[utility[pairs].abs() > 0.5]
    return GateResult(
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


def generator_gate(pipeline: StableDiffusionPipeline, classifier: AttributeClassifier, count: int = 256) -> GateResult:
    """Gate 4: what full prompts state is in the picture, as the classifier reads it."""
    scenes = SCENES.sample(count, generator_for("gate", "generator"), held_out=True)
    fabric = FabricGenerator(pipeline)
    params = FabricParams(guidance_scale=GENERATOR_GUIDANCE)
    requests = [
        Request(prompt, seed, params) for seed, prompt in enumerate(SCENES.captions(scenes, SCENES.full_prompt))
    ]
    parts = [requests[start : start + 32] for start in range(0, count, 32)]
    read = [classifier.read(fabric(part, GENERATOR_STEPS).images) for part in parts]
    kept = (torch.cat(read) == scenes.attributes).float().mean(0)
    bounds = {"shape": 0.85, "colour": 0.95, "background": 0.98, "position": 0.80}
    checks = [Check(f"{name} kept", float(kept[SCENES.column[name]]), bounds[name]) for name in SCENES.full_prompt]
    return GateResult("Generator", checks)


def speed_gate(pipeline: StableDiffusionPipeline, repeats: int = 7) -> GateResult:
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
    return GateResult("Speed", [check], {"threads": float(torch.get_num_threads())})
