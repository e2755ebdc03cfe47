"""The model: image and words through one self-attention encoder, and heads for scores, heatmaps and words.

After Liang et al. 2024 (arXiv 2312.10240, section 4). Two things are other than there. Where the paper's better variant
puts the name of an output before the prompt, and so needs a pass for each of seven outputs, here every output has a
token of its own in the sequence. And where the paper's decoder writes the prompt anew with marks, here every word has a
probability, which is exact and needs no decoder.

Notation:
    B: images, g: side of the grid of image tokens, L: tokens of a prompt, D: width, H: side of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, PreTrainedModel

from objectives.rahf.config import RahfConfig
from objectives.richhf import SCORES

MAPS = ("artifact", "misalignment")
TASKS = (*MAPS, *SCORES, "words")
_GROUPS = 8


@dataclass(frozen=True)
class RahfOutput:
    """What a model says, before it is turned into numbers from 0 to 1 by a sigmoid.

    Attributes:
        scores: B x 4, of `objectives.richhf.SCORES`.
        maps: B x 2 x H x H, of `MAPS`.
        words: B x L, how much each token of the prompt is misaligned.
        grid: B x D x g x g image tokens before the prompt is read, from which a training may have more told.
    """

    scores: Tensor
    maps: Tensor
    words: Tensor
    grid: Tensor


class Rahf(PreTrainedModel):
    """Rich Automatic Human Feedback.

    Args:
        config: its sizes.
    """

    config_class = RahfConfig
    main_input_name = "pixel_values"

    def __init__(self, config: RahfConfig) -> None:
        super().__init__(config)
        width = config.width
        self.vision = _Stem(config) if config.vision_config is None else _Encoder(config, config.vision_config)
        self.text = _Words(config) if config.text_config is None else _TextEncoder(config, config.text_config)
        self.kinds = nn.Parameter(torch.zeros(2, width))  # what is image and what is text
        self.tasks = nn.Parameter(0.02 * torch.randn(len(TASKS), width))
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        heads = [_MapHead(width, self.vision.skips, config.image_size) for _ in MAPS]
        self.maps = nn.ModuleList(heads)
        seen = sum(head.channels for head in heads)
        self.scores = nn.ModuleList(_perceptron(2 * width + seen, width // 2) for _ in SCORES)
        self.words = _perceptron(2 * width, width // 2)
        self.post_init()
        # Of encoders within modules transformers does not see which weights are one and the same, as T5's embeddings.
        for name, module in self.named_modules():
            if module is not self and isinstance(module, PreTrainedModel):
                tied = {f"{name}.{one}": f"{name}.{other}" for one, other in module.all_tied_weights_keys.items()}
                self.all_tied_weights_keys.update(tied)

    def start_from(self, vision: PreTrainedModel, text: PreTrainedModel) -> None:
        """Takes over the weights of pretrained encoders, of the kinds that the configuration names."""
        for part, encoder in ((self.vision, vision), (self.text, text)):
            assert isinstance(part, _Encoder | _TextEncoder), "the configuration names pretrained encoders"
            part.model.load_state_dict(encoder.state_dict())

    def _init_weights(self, module: nn.Module) -> None:
        """Torch's own initial weights will do; those of pretrained encoders are read."""

    def forward(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor) -> RahfOutput:
        """Predicts.

        Args:
            pixel_values: B x 3 x H x H in [-1, 1], or as the pretrained image encoder has them.
            input_ids: B x L tokens of prompts.
            attention_mask: B x L, 0 for what only fills a row.
        """
        tokens, skips = self.vision(pixel_values)
        side, words = tokens.shape[-1], self.text(input_ids, attention_mask)
        image = tokens.flatten(2).mT + self.kinds[0]
        count = len(TASKS) if self.config.task_tokens else 0
        tasks = self.tasks[:count].expand(len(image), -1, -1)
        present = torch.cat([image.new_ones(len(image), count + image.shape[1]), attention_mask], dim=1) > 0
        sequence = torch.cat([tasks, image, words + self.kinds[1]], dim=1)
        found = self.encoder(sequence, src_key_padding_mask=~present)
        tasks, image, words = found.split([count, side * side, words.shape[1]], dim=1)
        grid = image.mT.unflatten(2, (side, side))
        mean = image.mean(dim=1)
        task = dict(zip(TASKS, tasks.unbind(1), strict=True)) if count else dict.fromkeys(TASKS, mean)
        maps, seen = zip(*(head(grid, task[n], skips) for n, head in zip(MAPS, self.maps, strict=True)), strict=True)
        # What the maps show, the scores know: how bad a picture is depends on how much of it is marked.
        scores = [head(torch.cat([task[n], mean, *seen], dim=1)) for n, head in zip(SCORES, self.scores, strict=True)]
        of_words = torch.cat([words, task["words"][:, None].expand_as(words)], dim=2)
        return RahfOutput(torch.cat(scores, dim=1), torch.stack(maps, dim=1), self.words(of_words)[..., 0], tokens)


class _Stem(nn.Module):
    """An image encoder of convolutions, whose finer features help the heatmaps.

    Attributes:
        skips: channels of the features that it gives besides the grid, coarse to fine.
    """

    def __init__(self, config: RahfConfig) -> None:
        super().__init__()
        self.skips = tuple(reversed(config.stem[:-1]))
        self.stages = nn.ModuleList(_stage(before, after) for before, after in pairwise([3, *config.stem]))
        side = config.image_size // 2 ** len(config.stem)
        self.project = nn.Conv2d(config.stem[-1], config.width, 1)
        self.places = nn.Parameter(0.02 * torch.randn(config.width, side, side))

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """B x 3 x H x H to B x D x g x g, and finer features, coarse to fine."""
        features = []
        for stage in self.stages:
            pixels = stage(pixels)
            features.append(pixels)
        return self.project(pixels) + self.places, features[-2::-1]


def _stage(before: int, after: int) -> nn.Module:
    """Halves the resolution."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(_GROUPS, after), nn.SiLU(), _Residual(after)
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(_GROUPS, channels), nn.SiLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Encoder(nn.Module):
    """A pretrained image encoder of transformers, such as a ViT; what it has besides a square of tokens is left out."""

    skips: tuple[int, ...] = ()

    def __init__(self, config: RahfConfig, vision: dict[str, object]) -> None:
        super().__init__()
        self.model = AutoModel.from_config(AutoConfig.for_model(**vision))
        self.project = nn.Linear(self.model.config.hidden_size, config.width)

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        states = self.model(pixel_values=pixels).last_hidden_state
        side = int(states.shape[1] ** 0.5)
        return self.project(states[:, -side * side :]).mT.unflatten(2, (side, side)), []


class _Words(nn.Module):
    """Embeddings of words with their places."""

    def __init__(self, config: RahfConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.places = nn.Parameter(0.02 * torch.randn(config.max_words, config.width))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """B x L to B x L x D."""
        return self.embed(input_ids) + self.places[: input_ids.shape[1]]


class _TextEncoder(nn.Module):
    """A pretrained text encoder of transformers, such as T5's."""

    def __init__(self, config: RahfConfig, text: dict[str, object]) -> None:
        super().__init__()
        self.model = AutoModelForTextEncoding.from_config(AutoConfig.for_model(**text))
        self.project = nn.Linear(self.model.config.hidden_size, config.width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """B x L to B x L x D."""
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.project(states)


class _MapHead(nn.Module):
    """From image tokens to a heatmap, at twice the resolution for each finer feature, or thrice where there are none.

    Args:
        width: D.
        skips: channels of finer features, coarse to fine.
        size: H.

    Attributes:
        channels: C, of the finest features.
    """

    def __init__(self, width: int, skips: Sequence[int], size: int) -> None:
        super().__init__()
        self.size = size
        self.modulate = nn.Linear(width, 2 * width)
        channels = [width, *(max(_GROUPS, width // 2**k) for k in range(1, 1 + (len(skips) or 3)))]
        joined = list(skips) or [0] * (len(channels) - 1)
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before + skip, after, 3, padding=1), nn.GroupNorm(_GROUPS, after), nn.SiLU(), _Residual(after)
            )
            for (before, after), skip in zip(pairwise(channels), joined, strict=True)
        )
        self.channels = channels[-1]
        self.out = nn.Conv2d(self.channels, 1, 3, padding=1)

    def forward(self, grid: Tensor, task: Tensor, skips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """B x D x g x g, B x D and finer features to B x H x H, and to means of the finest features, B x C."""
        scale, shift = self.modulate(task)[..., None, None].chunk(2, dim=1)
        x = grid * (1 + scale) + shift
        for place, step in enumerate(self.steps):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = step(torch.cat([x, skips[place]], dim=1) if skips else x)
        heatmap = F.interpolate(self.out(x), size=(self.size, self.size), mode="bilinear")[:, 0]
        return heatmap, x.mean(dim=(2, 3))


def _perceptron(width: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 1))


def rahf_loss(
    output: RahfOutput, scores: Tensor, maps: Tensor, words: Tensor, known: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Sum of the errors of scores, maps and words (Liang et al. 2024, section 4.3).

    Marked areas are small and misaligned words few, so maps count 20 times and a misaligned word 3 times; scores are
    told the less well the less they count, so they count 20 times as well. Maps on which nothing is marked count four
    times as much as others, so that what is sound is left alone.

    Args:
        output: of a model.
        scores: B x 4 in [0, 1].
        maps: B x 2 x H x H in [0, 1].
        words: B x L in [0, 1].
        known: B x L, 1 for tokens that stand for a word.

    Returns:
        The loss, and its parts by name.
    """
    of_scores = F.mse_loss(output.scores.float().sigmoid(), scores)
    emptiness = 1 + 3 * (maps.amax(dim=(2, 3), keepdim=True) == 0).float()
    of_maps = (emptiness * (output.maps.float().sigmoid() - maps).square()).mean()
    weight = output.words.new_tensor(3.0, dtype=torch.float32)
    each = F.binary_cross_entropy_with_logits(output.words.float(), words, pos_weight=weight, reduction="none")
    of_words = (each * known).sum() / known.sum().clamp(min=1)
    parts = {"scores": of_scores, "maps": of_maps, "words": of_words}
    return 20 * of_scores + 20 * of_maps + of_words, {name: float(part.detach()) for name, part in parts.items()}
