"""What the cards of the emoji world's models say, and the pictures on them, which the generator made."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from experiments.embedded import shipped
from experiments.embedded.gates.cards import Card, WorldCards, save_grid
from experiments.embedded.gates.emoji_steering import PLAIN, STEPS, steered, with_guidance
from experiments.embedded.gates.result import share
from experiments.embedded.gates.steering import feedback, generated
from experiments.embedded.world.emoji.art import SETS
from experiments.embedded.world.emoji.concepts import CONCEPTS
from experiments.embedded.world.emoji.draw import BACKDROPS
from experiments.embedded.world.emoji.world import EmojiWorld
from experiments.embedded.world.world import Scenes
from fabric.generator import FabricGenerator, Request
from fabric.params import preset
from fabric.seeding import generator_for

_TASTES, _COLUMNS = 3, 8

_CREDITS = "\n".join(f"- {hand}: {p.credit}; `{p.name}` {p.version}, {p.licence}" for hand, p in SETS.items())

_DATA = f"""Pictures of 64 x 64 pixels, composed by this project (`experiments/embedded/world/emoji/`) of published
emoji: {len(CONCEPTS)} things by five hands, on eight backdrops ({", ".join(BACKDROPS)}), with no edge, an outline or a
shadow, small or large, shifted and turned a little. One pair of thing and hand in fifteen is held out from the
generator.

The emoji are not part of this repository; `npm pack` brings them when a model is trained. They are

{_CREDITS}

Their names are Unicode's, as `unicode-emoji-json` (MIT) has them."""

CARDS = {
    "generator": Card(
        ("1", "4", "6", "6 before siblings"),
        "Embedded emoji generator",
        """A text-to-image latent diffusion model in the layout of Stable Diffusion 1.x, small enough for two CPU cores:
AutoencoderKL (64 pixels to 4 x 16 x 16 latents), UNet2DConditionModel with self- and cross-attention at 16, 8 and 4
latent pixels, a CLIPTextModel trained together with the U-Net. It predicts velocity (v-prediction). Above: prompts that
state a thing, a hand and a backdrop, not picked.

In its last phase a quarter of the training examples attended to a sibling: a picture of another thing by the same hand,
on the same backdrop, as FABRIC's references are. Before that phase it was never shown how one picture tells about
another; what feedback did then, unrehearsed, stands below the present figures (the weights of that time are in the
repository's history, at 8055ab1).

![feedback](feedback.png)

For each of three tastes: four pictures that are liked; prompts without feedback; the same prompts and seeds with it, at
the authors' setting for coming close to a target.""",
        """It knows the words of its captions: the things by their usual names, in the singular and plural, the names of
hands and backdrops, outline, shadow, small and large. Other words fall apart into letters and mislead it. Prompts end
after 32 tokens.""",
    ),
    "clip": Card(
        ("2",),
        "Embedded emoji CLIP judge",
        """An open_clip model (residual network, two-layer text transformer, embeddings of 64 numbers), trained apart
from the generator as the judge of the scenes is. Load it with
`open_clip.create_model_from_pretrained("local-dir:FOLDER")`. Its logit scale is capped at 10 instead of CLIP's 100, so
that similarities spread. Above: generated pictures, each with those nearest to it.""",
        """Its similarities are those of this world; other pictures get arbitrary numbers. It saw composed and mildly
damaged pictures in training, not generated ones.""",
    ),
    "classifier": Card(
        ("1",),
        "Embedded emoji classifier",
        """A small residual network, one softmax for each attribute (`experiments/embedded/models/classifier.py`),
trained on composed pictures with mild damage. It is an independent measure: nothing is ever optimised on it. Above:
generated pictures, sorted by the hand that it reads, one row each.""",
        """It always names a value, also for pictures that show none.""",
    ),
}


def write_pictures(root: Path, effort: float) -> None:
    """Writes `samples.png` of every model, and what feedback does beside the generator."""
    world, steps = EmojiWorld(), share(STEPS, effort)
    folders = {model: root / folder for model, folder in shipped.FOLDERS["emoji"].items()}
    fabric = FabricGenerator(shipped.read_generator(root, "emoji"))
    images = _pictures_of(fabric, world.sample(64, generator_for("card"), held_out=False), steps)
    save_grid(images[:24], folders["generator"] / "samples.png", _COLUMNS)
    cosine = shipped.read_clip(root, "emoji").similarity(images[:4], images)
    save_grid(images[cosine.topk(_COLUMNS, dim=1).indices.flatten()], folders["clip"] / "samples.png", _COLUMNS)
    save_grid(
        _by_hand(shipped.read_classifier(root, "emoji").read(images), images), folders["classifier"] / "samples.png"
    )
    save_grid(_feedback(fabric, world, steps), folders["generator"] / "feedback.png", _COLUMNS)


def _pictures_of(fabric: FabricGenerator, scenes: Scenes, steps: int) -> Tensor:
    """Pictures that the generator makes of captions which state thing, hand and backdrop."""
    captions = scenes.world.captions(scenes, scenes.world.full_prompt)
    return generated(fabric, [Request(caption, seed, PLAIN) for seed, caption in enumerate(captions)], steps)


def _by_hand(read: Tensor, images: Tensor) -> Tensor:
    """A row of pictures for each hand, white where there are too few."""
    rows = []
    for hand in range(len(SETS)):
        row = images[read[:, EmojiWorld().column["hand"]] == hand][:_COLUMNS]
        rows.append(torch.cat([row, torch.ones(_COLUMNS - len(row), *images.shape[1:])]))
    return torch.cat(rows)


def _feedback(fabric: FabricGenerator, world: EmojiWorld, steps: int) -> Tensor:
    """Three rows for each taste: liked pictures, without feedback, with it."""
    rows = []
    params = with_guidance(preset("paper-target", steps))
    for taste in range(_TASTES):
        generator = generator_for("card", "feedback", taste)
        scenes = world.sample(_COLUMNS, generator, held_out=False)
        wanted = world.sample(1, generator, held_out=False).repeat(4).with_unsaid(generator, keep=("hand", "backdrop"))
        liked = _pictures_of(fabric, wanted, steps)
        rows += [liked, torch.ones(_COLUMNS - len(liked), *liked.shape[1:])]
        rows.append(steered(fabric, scenes, PLAIN, steps))
        rows.append(steered(fabric, scenes, params, steps, [feedback(liked)] * _COLUMNS))
    return torch.cat(rows)


EMOJI_CARDS = WorldCards(
    "emoji",
    _DATA,
    "python -m experiments.embedded emoji",
    "python -m experiments.embedded evaluate --world emoji",
    CARDS,
    write_pictures,
)
