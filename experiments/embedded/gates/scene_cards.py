"""What the cards of the scenes' models say, and the pictures on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.embedded import shipped
from experiments.embedded.gates.broken import SOUND, images_of, prompts_of
from experiments.embedded.gates.cards import Card, WorldCards, save_grid
from experiments.embedded.gates.model_gates import GENERATOR_GUIDANCE, GENERATOR_STEPS
from experiments.embedded.gates.result import share
from experiments.embedded.gates.steering import PAPER_SETTINGS, SESSION_STEPS, draw_targets, feedback, generate
from experiments.embedded.models.preference import TASTE
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.degrade import degrade
from experiments.embedded.world.scenes.world import SCENES
from fabric.generator import FabricGenerator, Request
from fabric.images import to_pictures
from fabric.params import FabricParams
from fabric.seeding import generator_for

_DATA = f"""Pictures of 64 x 64 pixels rendered by this project (`experiments/embedded/world/scenes/render.py`),
with attributes

{chr(10).join(f"- {name}: {', '.join(values)}" for name, values in SCENES.attributes.items())}

No third-party data was used. One (shape, colour, background) combination in twelve is held out from the generator."""

_TASTE = "\n".join(
    f"- {name}: " + ", ".join(f"{value} +{utility:g}" for value, utility in worths.items())
    for name, worths in TASTE.items()
)

_FAULTY = {SOUND: 4, "3 steps": 4, "guidance 20": 2, "strength 8": 2}  # images on a card, by kind

CARDS = {
    "generator": Card(
        ("1", "4", "5", "6", "7"),
        "Embedded generator",
        """A text-to-image latent diffusion model in the layout of Stable Diffusion 1.x, small enough for two CPU cores:
AutoencoderKL (64 pixels to 4 x 16 x 16 latents), UNet2DConditionModel with self- and cross-attention at 16, 8
and 4 latent pixels, a CLIPTextModel of its own trained together with the U-Net, a CLIPTokenizer with 669 tokens. It
predicts velocity (v-prediction); its noise ends nearly pure (beta 0.017).

The U-Net was trained in two phases (`experiments/embedded/models/denoising.py`). Shapes: noise prediction on Stable
Diffusion's noise, min-SNR weights (Hang et al. 2023). Layout: velocity prediction on the stronger noise, on which
positions have to come from the prompt (Lin et al. 2023, arXiv 2305.08891). In this phase a quarter of each batch are
siblings: pictures of the same attributes as another example of the batch, which also attends to them, as FABRIC's
references are attended to. Large models learn from the web that one part of a picture tells about another, so FABRIC
needs no training there; this small one has to be shown. Its answers to feedback are to that extent trained.

![feedback](feedback.png)

First row: hidden targets. Second: their prompts (shape, colour and background) without feedback. Third: the same
prompts and seeds with the target as liked image, FABRIC at weight 0.8.""",
        """It knows the words of its captions and nothing else; other words fall apart into letters and mislead it.
Captions in training state shape, colour, background and position and never the other attributes, so those are
left to chance or to feedback images. Prompts end after 32 tokens.

The schedule of its first phase (shapes) was shortened while it ran, so training it anew gives a like model, not the
same numbers.

Feedback carries over texture, light and background style, mostly size and companion, and hardly position: a reference
is as noisy as the picture that attends to it, and by the time its layout shows, the picture has its own.
Gate 6 is measured at the authors' 20 steps and on 96 targets. On 32 it was left to chance: 0.267 and, measured again on
another machine, 0.244 (rounding changes a grey level of a feedback image, and with it the rounds after); on 32 others
0.325. With 12 steps a session closes 0.237 [0.159, 0.316] of the gap. Gate 7 takes the mean of four common seeds; with
one seed the three figures are 2.87, 1.77 and 3.20 errors.""",
    ),
    "clip": Card(
        ("2",),
        "Embedded CLIP judge",
        """An open_clip model (residual network, two-layer text transformer, embeddings of 64 numbers), trained apart
from the generator with three contrasts: caption and picture, picture and the same scene with other jitter, and
against scenes with a single attribute changed. Load it with
`open_clip.create_model_from_pretrained("local-dir:FOLDER")`. Its logit scale is capped at 10 instead of CLIP's
100, so that similarities spread. During training a linear head also names the attributes; it is thrown away.""",
        """Its similarities are those of this world; other pictures get arbitrary numbers. It saw rendered and mildly
damaged pictures, not generated ones. Its schedule was changed while it ran, so training it anew gives a like model,
not the same numbers.""",
    ),
    "preference": Card(
        ("3",),
        "Embedded preference judge",
        f"""A transformers `CLIPModel` with processor, as the PickScore recipe loads it; the score is `exp(logit_scale)
* cosine`. Trained with the Bradley-Terry loss on simulated choices: option i is preferred to j with probability
sigmoid(2 (u_i - u_j)), where the ground truth u is 4 x the share of stated attributes kept + 2 x (1 - damage) +
taste:

{_TASTE}

Damage (0 to 1) mixes blur, grain and bent shapes (`experiments/embedded/world/degrade.py`). During training a linear
head also names the attributes; it is thrown away.""",
        """Its taste is made up, and known: it is for tests and for experiments in which the truth must be known. Scores
depend on the prompt and are to be compared within one prompt only.""",
    ),
    "rahf": Card(
        ("8", "9"),
        "Embedded predictor of rich feedback",
        """A `Rahf` (`objectives/rahf/model.py`), after Liang et al. 2024 (arXiv 2312.10240): image tokens and words
pass through one self-attention encoder, with one task token for each output; heads give two heatmaps, four scores and
the words that are not shown. It was trained on rendered pictures whose faults are known (`world/scenes/faults.py`, and
windows that the shipped generator denoised again), with exact labels. Aesthetics follow the preference judge's taste.

The picture above: images of the generator, not picked, and what is said of them. First row: four as it usually makes
them, four in 3 steps, two at guidance 20, two with feedback of strength 8. Second: in red, where they are found
implausible. Third: where they are found not to be what the prompt says.

The paper's model, on real images and with people's labels, reaches a PLCC of 0.693 for plausibility, 0.474 for
alignment, 0.600 for aesthetics and 0.580 overall, for the artifact map a CC of 0.556 and an AUC-Judd of 0.913, and an
F1 of 0.433 for words. Faults that are drawn, with exact labels, are easier.""",
        """A fault lowers plausibility by how much of it is seen, in area and contrast, and not by how strong it was
drawn. What fills a hole in a repair is plausible, which is not always what was there. It knows the faults that were
drawn for it, and those of this generator, and finds some where people would not. Its prompts are those of this world,
of up to 40 tokens. It was trained in two parts, the second on this meaning of severity, so training it anew gives a
like model, not the same numbers.""",
    ),
    "classifier": Card(
        ("1",),
        "Embedded attribute classifier",
        """A small residual network, one softmax for each attribute (`experiments/embedded/models/classifier.py`),
trained on rendered pictures with mild damage. It is an independent measure: nothing is ever optimised on it.""",
        """It always names a value, also for pictures that show none.""",
    ),
}


def generated_samples(root: Path, count: int = 64, steps: int = GENERATOR_STEPS) -> Tensor:
    """Pictures of held-out full prompts, `count` x 3 x 64 x 64 in [-1, 1]."""
    fabric = FabricGenerator(shipped.read_generator(root))
    prompts = SCENES.captions(SCENES.sample(count, generator_for("card"), held_out=True), SCENES.full_prompt)
    params = FabricParams(guidance_scale=GENERATOR_GUIDANCE)
    return fabric([Request(prompt, seed, params) for seed, prompt in enumerate(prompts)], steps).images


def feedback_samples(root: Path, count: int = 8, steps: int = SESSION_STEPS) -> Tensor:
    """Targets, the same prompts without feedback, and with the target as liked image: three rows of `count`."""
    fabric = FabricGenerator(shipped.read_generator(root))
    targets = draw_targets(count, seed=6)
    pictures, setting = to_signed(SCENES.render(targets)), [PAPER_SETTINGS["paper-target"]]
    plain, steered = [], []
    for k, prompt in enumerate(SCENES.captions(targets, SCENES.short_prompt)):
        plain.append(generate(fabric, prompt, [k], setting, steps=steps))
        steered.append(generate(fabric, prompt, [k], setting, feedback(pictures[k : k + 1]), steps=steps))
    return torch.cat([pictures, *plain, *steered])


def predicted_faults(root: Path, effort: float = 1.0) -> Tensor:
    """Twelve images of the generator, sound and broken, and two rows of what is said of them; three rows of twelve."""
    fabric, parts, start = FabricGenerator(shipped.read_generator(root)), list[Tensor](), 0
    for kind, count in _FAULTY.items():
        parts.append(images_of(fabric, kind, count, effort, start))
        start += count
    images = torch.cat(parts)
    found = shipped.read_rahf(root)(to_pictures(images), prompts_of(start))
    maps = [np.stack([each.artifact_map for each in found]), np.stack([each.misalignment_map for each in found])]
    return torch.cat([images, *(_marked(images, torch.from_numpy(each).float()) for each in maps)])


def _marked(images: Tensor, maps: Tensor) -> Tensor:
    """Images in grey, with a map in red over them."""
    grey, red = images.mean(dim=1, keepdim=True) * 0.5, torch.tensor([1.0, -0.6, -0.6])[:, None, None]
    return torch.lerp(grey.expand_as(images), red.expand_as(images), maps[:, None])


def _samples(root: Path, model: str, effort: float) -> Tensor:
    """What a card shows: generated pictures, or what a judge looks at, best first where it has an order."""
    if model == "generator":
        return generated_samples(root, steps=share(GENERATOR_STEPS, effort))
    if model == "rahf":
        return predicted_faults(root, effort)
    generator = generator_for("card", model)
    scenes = SCENES.sample(64, generator)
    if model == "classifier":
        level = 0.4 * torch.rand(64, generator=generator)
        return degrade(to_signed(SCENES.render(scenes)), level, generator)
    images = to_signed(SCENES.render(scenes))
    if model == "clip":  # each row: a scene, then its neighbours by similarity
        cosine = shipped.read_clip(root).similarity(images[:8], images)
        return images[cosine.topk(8, dim=1).indices.flatten()]
    scores = shipped.read_preference(root).score(["a shape"] * 64, images)
    return images[scores.argsort(descending=True)]


def write_pictures(root: Path, effort: float) -> None:
    """Writes `samples.png` of every model, and what feedback does beside the generator."""
    folders = shipped.FOLDERS["scenes"]
    for model, folder in folders.items():
        columns = sum(_FAULTY.values()) if model == "rahf" else 8
        save_grid(_samples(root, model, effort), root / folder / "samples.png", columns)
    steered = feedback_samples(root, steps=share(SESSION_STEPS, effort))
    save_grid(steered, root / folders["generator"] / "feedback.png")


SCENE_CARDS = WorldCards(
    "scenes",
    _DATA,
    "python -m experiments.embedded all",
    "python -m experiments.embedded evaluate",
    CARDS,
    write_pictures,
)
