"""The preference judge: a CLIPModel trained on simulated choices with the Bradley-Terry loss, as PickScore is.

The ground truth that it learns from is `utility`: a picture is worth more the better it keeps the prompt, the
better formed it is, and the more it meets a taste of its own that no prompt states.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import to_signed
from experiments.embedded.training.reading import Reader
from experiments.embedded.world.degrade import degrade
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.embedded.world.world import SIDE, Scenes
from experiments.training.trainer import Trainer, seeded, training_device
from fabric.seeding import generator_for

CONTEXT = 77  # the PickScore recipe pads and cuts to 77 tokens
OPTIONS = 4  # pictures that are compared for one prompt

PROMPT_WORTH = 4.0
FORM_WORTH = 2.0
TASTE: dict[str, dict[str, float]] = {
    "size": {"large": 0.8, "medium": 0.4},
    "texture": {"striped": 0.6},
    "light": {"left": 0.5},
    "style": {"hills": 0.9, "rays": 0.45},
    "companion": {"ball": 0.5},
}
BEST_TASTE = sum(max(liking.values()) for liking in TASTE.values())
_BREAK, _DAMAGE = 0.35, 0.5  # chance that an option breaks the prompt, is damaged


@dataclass(frozen=True)
class PromptOptions:
    """Options for N prompts; rows of `scenes`, `level` and `utility` are N * OPTIONS, a prompt's next to each other."""

    prompts: list[str]
    scenes: Scenes
    level: Tensor
    utility: Tensor


def utility(scenes: Scenes, asked: Tensor, said: Tensor, level: Tensor) -> Tensor:
    """The ground truth: what a picture is worth to the simulated person.

    Args:
        scenes: B scenes, as they are in the pictures.
        asked: B x A attributes that the prompt is about.
        said: B x A bool, which of them it states.
        level: B, how damaged the picture is, in [0, 1].

    Returns:
        B values: 4 x share of the stated attributes kept + 2 x (1 - level) + taste (0 to 3.3).
    """
    return PROMPT_WORTH * kept_share(scenes, asked, said) + FORM_WORTH * (1 - level) + taste(scenes)


def kept_share(scenes: Scenes, asked: Tensor, said: Tensor) -> Tensor:
    """Share of the stated attributes that scenes keep, B; see `utility`."""
    return ((scenes.attributes == asked) & said).sum(1) / said.sum(1).clamp(min=1)


def taste(scenes: Scenes) -> Tensor:
    """How much scenes are to the simulated person's taste, whatever the prompt: B values from 0 to 3.3."""
    total = torch.zeros(len(scenes))
    for name, liking in TASTE.items():
        table = torch.tensor([liking.get(value, 0.0) for value in SCENES.attributes[name]])
        total = total + table[scenes.column(name)]
    return total


def draw_choices(count: int, generator: torch.Generator) -> PromptOptions:
    """Draws `count` prompts with `OPTIONS` pictures each, some of which break the prompt or are damaged."""
    asked = SCENES.sample(count, generator)
    said = SCENES.draw_said(count, generator)
    prompts = SCENES.captions_stating(asked, said, generator)
    asked, said = asked.repeat(OPTIONS), said.repeat_interleave(OPTIONS, dim=0)
    options = asked.with_unsaid(generator, keep=SCENES.full_prompt)
    free = ~said
    options.attributes[free] = SCENES.sample(len(options), generator).attributes[free]
    breaks = torch.rand(len(options), generator=generator) < _BREAK
    columns = torch.randint(len(SCENES.full_prompt), (len(options),), generator=generator)
    for name in SCENES.full_prompt:
        rows = breaks & (columns == SCENES.column[name])
        options.attributes[rows] = options[rows].changed(name, generator).attributes
    damaged = torch.rand(len(options), generator=generator) < _DAMAGE
    level = torch.rand(len(options), generator=generator) * damaged
    return PromptOptions(prompts, options, level, utility(options, asked.attributes, said, level))


def pictures_of(choice: PromptOptions, generator: torch.Generator) -> Tensor:
    """The options as pictures, (N * OPTIONS) x 3 x 64 x 64 in [-1, 1]."""
    return degrade(to_signed(SCENES.render(choice.scenes)), choice.level, generator).clamp(-1, 1)


def bradley_terry(scores: Tensor, chosen: Tensor) -> Tensor:
    """Negative log-likelihood of pairwise choices, -log sigmoid(winner - loser), over all pairs of a prompt's options.

    Args:
        scores: N x K scores of K options.
        chosen: N x K x K bool, True where the first option of the pair was preferred.

    Returns:
        Mean over all pairs.
    """
    margin = scores[:, :, None] - scores[:, None, :]
    sign = chosen.float() * 2 - 1
    upper = torch.triu(torch.ones_like(margin, dtype=torch.bool), diagonal=1)
    return F.softplus(-sign * margin)[upper].mean()


def simulate(utility: Tensor, generator: torch.Generator) -> Tensor:
    """Choices of the simulated person: i over j with probability sigmoid(2 (worth_i - worth_j)); N x K to N x K x K."""
    probability = torch.sigmoid(2 * (utility[:, :, None] - utility[:, None, :]))
    return torch.rand(probability.shape, generator=generator) < probability


def build_image_processor() -> CLIPImageProcessor:
    """Brings pictures to 64 x 64 pixels in [-1, 1], as judges in transformers' layout take them."""
    side = {"height": SIDE, "width": SIDE}
    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def build_preference(width: int, vocabulary: int, end: int) -> CLIPModel:
    """A CLIPModel with random weights: vision transformer on 8 x 8 patches, two-layer text transformer."""
    text = {
        "vocab_size": vocabulary,
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": end - 1,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": 64,
        "patch_size": 8,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


class _WithReader(nn.Module):
    """The judge and a reader of its pooled features."""

    def __init__(self, judge: CLIPModel, width: int) -> None:
        super().__init__()
        self.judge = judge
        self.reader = Reader(width, SCENES.counts)

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, N x OPTIONS, and pooled features, (N * OPTIONS) x width."""
        judge = self.judge
        pooled = judge.vision_model(pixel_values=images).pooler_output
        image = F.normalize(judge.visual_projection(pooled).float(), dim=-1)
        text = judge.text_projection(judge.text_model(input_ids=tokens).pooler_output).float()
        text = F.normalize(text, dim=-1)
        options = image.unflatten(0, (-1, OPTIONS))
        cosine = (options * text[:, None]).sum(-1)
        return judge.logit_scale.exp() * cosine, pooled


def train_preference(config: Config) -> tuple[CLIPModel, float]:
    """Trains the preference judge on simulated choices.

    Args:
        config: sizes and schedule; `batch` pictures a step.

    Returns:
        The model in eval mode and the seconds it took.
    """
    device, tokenizer = training_device(), build_tokenizer(SCENES, CONTEXT)
    width = config.sizes.preference
    with seeded(config.seed):
        judge = build_preference(width, len(tokenizer), tokenizer.eos_token_id)
        model = _WithReader(judge, width).to(device)
    trainer = Trainer(model, config.preference, config.workdir / "preference")

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "preference", step)
        choice = draw_choices(config.preference.batch // OPTIONS, generator)
        images = pictures_of(choice, generator).to(device)
        tokens = tokenizer(choice.prompts, padding=True, return_tensors="pt").input_ids.to(device)
        scores, features = model(images, tokens)
        utilities = choice.utility.unflatten(0, (-1, OPTIONS))
        chosen = simulate(utilities, generator).to(device)
        reading = model.reader.loss(features, choice.scenes.attributes.to(device))
        value = bradley_terry(scores, chosen)
        return value + reading, {
            "choices": float(value.detach()),
            "reading": float(reading.detach()),
        }

    seconds = trainer.fit(loss)
    return model.judge, seconds
