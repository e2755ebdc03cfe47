"""The gates that the models of the emoji world have to pass, each a function from models to figures and a verdict.

What feedback did before the generator was shown siblings is kept among the figures, as "6 before siblings".
"""

from __future__ import annotations

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from experiments.embedded.gates.emoji_steering import PLAIN, STEPS, steered, with_guidance
from experiments.embedded.gates.model_gates import psnr
from experiments.embedded.gates.result import Check, GateResult
from experiments.embedded.gates.steering import Feedback, feedback, generated
from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.models.codec import reconstructions
from experiments.embedded.shipped import Judge
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.world import Scenes, World
from experiments.intervals import mean_interval
from fabric.generator import FabricGenerator, Request
from fabric.params import PRESETS, preset
from fabric.seeding import generator_for

_LIKED = 4
_TASTE = ("hand", "backdrop")
_READ = ("concept", *_TASTE)
_ARMS = tuple(name for name in PRESETS if name != "none")
_JUDGED = "paper-target"  # the authors' setting for coming close to something
_MORE = 0.01  # least lower end of a difference: 0 is what images alone would give that feedback leaves as they are


def codec_gate(
    pipeline: StableDiffusionPipeline, classifier: AttributeClassifier, world: World, count: int = 1024
) -> GateResult:
    """Gate 1: reconstructions are close to originals, and the classifier reads them nearly as well."""
    scenes = world.sample(count, generator_for("gate", "codec"))
    images = to_signed(world.render(scenes))
    decoded = reconstructions(pipeline.vae, images)
    before, after = (_right(classifier, pictures, scenes).mean(0) for pictures in (images, decoded))
    hand = world.column["hand"]
    checks = [
        Check("PSNR, dB", psnr(decoded, images), 28.0),
        Check("hand read off reconstructions, of what is read off originals", float(after[hand] / before[hand]), 0.9),
    ]
    bounds = {"concept": 0.95, "hand": 0.90, "backdrop": 0.99}
    checks += [
        Check(f"{name} read off reconstructions", float(after[world.column[name]]), bound)
        for name, bound in bounds.items()
    ]
    return GateResult(
        "Codec", checks, {f"{name} read off originals": float(before[c]) for name, c in world.column.items()}
    )


def clip_gate(judge: Judge, world: World, galleries: int = 16) -> GateResult:
    """Gate 2: the CLIP judge finds the caption of a picture, and the picture that is another of the same."""
    right: dict[str, list[float]] = {"text": [], "picture": []}
    for k in range(galleries):
        generator = generator_for("gate", "clip", k)
        scenes = world.sample(64, generator)
        images, twins = (judge.embed(to_signed(world.render(some))) for some in (scenes, scenes.rejittered(generator)))
        texts = judge.embed_text(world.captions(scenes, world.names))
        for name, others in (("text", texts), ("picture", twins)):
            right[name].append(float(((images @ others.T).argmax(1) == torch.arange(64)).float().mean()))
    found = {name: sum(shares) / len(shares) for name, shares in right.items()}
    return GateResult(
        "CLIP judge",
        [Check("its caption first among 64 for a picture", found["text"], 0.9)],
        {"another picture of the same first among 64": found["picture"]},
    )


def generator_gate(
    pipeline: StableDiffusionPipeline,
    classifier: AttributeClassifier,
    world: World,
    count: int = 256,
    steps: int = STEPS,
) -> GateResult:
    """Gate 4: what prompts state is in the picture, as the classifier reads it; pairs that were never seen apart."""
    fabric = FabricGenerator(pipeline)
    kept = {}
    for held_out in (False, True):
        scenes = world.sample(count, generator_for("gate", "generator", held_out), held_out=held_out)
        prompts = world.captions(scenes, world.full_prompt)
        images = generated(fabric, [Request(prompt, seed, PLAIN) for seed, prompt in enumerate(prompts)], steps)
        kept[held_out] = _right(classifier, images, scenes).mean(0)
    bounds = {"concept": 0.85, "hand": 0.75, "backdrop": 0.95}
    checks = [Check(f"{name} kept", float(kept[False][world.column[name]]), bound) for name, bound in bounds.items()]
    notes = {
        f"{name} kept, pairs of thing and hand never seen": float(kept[True][world.column[name]]) for name in bounds
    }
    return GateResult("Generator", checks, notes)


def feedback_gate(
    pipeline: StableDiffusionPipeline,
    classifier: AttributeClassifier,
    world: World,
    count: int = 96,
    steps: int = STEPS,
) -> GateResult:
    """Gate 6: four liked pictures of other things carry their hand and backdrop over; disliked ones push away.

    Every prompt has a taste of its own, and the same seed with feedback and without.
    """
    fabric = FabricGenerator(pipeline)
    verdict = GateResult("Feedback")
    for held_out in (False, True):
        scenes = world.sample(count, generator_for("gate", "feedback", held_out), held_out=held_out)
        liked = [_shown(scenes[k : k + 1], k) for k in range(count)]
        plain = _right(classifier, steered(fabric, scenes, PLAIN, steps), scenes)
        among = "never seen: " if held_out else ""
        verdict.notes |= _shares(world, f"{among}no feedback", plain)
        for name in (_JUDGED,) if held_out else _ARMS:
            params = with_guidance(preset(name, steps))
            right = _right(classifier, steered(fabric, scenes, params, steps, liked), scenes)
            verdict.notes |= _shares(world, f"{among}{name}", right)
            if name == _JUDGED:
                _compare(verdict, world, among, right - plain)
    away = _pushed_away(fabric, classifier, world, count, steps)
    verdict.checks.append(Check("disliked pictures push away: interval's lower end", away[1], _MORE))
    verdict.notes |= {"disliked pictures push away": away[0], "disliked: interval's upper end": away[2]}
    return verdict


def _shares(world: World, arm: str, right: Tensor) -> dict[str, float]:
    """How often an arm's images have the thing, the hand and the backdrop."""
    return {f"{arm}, {name}": float(right[:, world.column[name]].mean()) for name in _READ}


def _compare(verdict: GateResult, world: World, among: str, differences: Tensor) -> None:
    """Adds the paired differences with feedback and without; hand and backdrop are to come more often."""
    for name in _READ:
        mean, low, high = mean_interval(differences[:, world.column[name]].numpy())
        if not among and name in _TASTE:
            verdict.checks.append(Check(f"{name} of the liked pictures comes more often: lower end", low, _MORE))
        verdict.notes |= {
            f"{among}{name}, more often by": mean,
            f"{among}{name}, lower end": low,
            f"{among}{name}, upper end": high,
        }


def _pushed_away(
    fabric: FabricGenerator, classifier: AttributeClassifier, world: World, count: int, steps: int
) -> tuple[float, float, float]:
    """How much less often an image keeps its hand and backdrop if disliked pictures show them than if they show others.

    Returns:
        The mean of the paired differences, and both ends of its interval.
    """
    scenes = world.sample(count, generator_for("gate", "disliked"))
    own = Scenes(world, classifier.read(steered(fabric, scenes, PLAIN, steps)), scenes.jitter)
    other = own
    for name in _TASTE:
        other = other.changed(name, generator_for("gate", "disliked", name))
    params = with_guidance(preset("paper-target", steps))
    kept = []
    for shown in (own, other):
        disliked = [_shown(shown[k : k + 1], k) for k in range(count)]
        images = steered(fabric, scenes, params, steps, disliked=disliked)
        kept.append(_right(classifier, images, own)[:, [world.column[name] for name in _TASTE]].mean(1))
    return mean_interval((kept[1] - kept[0]).numpy())


def _shown(scene: Scenes, key: int) -> Feedback:
    """Pictures of other things by the hand and on the backdrop of a scene."""
    world, generator = scene.world, generator_for("gate", "shown", key)
    shown = scene.repeat(_LIKED).with_unsaid(generator, keep=_TASTE)
    column = world.column["concept"]
    further = torch.randint(1, world.counts[column], (_LIKED,), generator=generator)
    shown.attributes[:, column] = (scene.column("concept") + further) % world.counts[column]
    return feedback(to_signed(world.render(shown)))


def _right(classifier: AttributeClassifier, images: Tensor, scenes: Scenes) -> Tensor:
    """Which attributes are read as they are in the scenes, B x A float64."""
    return (torch.cat([classifier.read(part) for part in images.split(256)]) == scenes.attributes).double()
