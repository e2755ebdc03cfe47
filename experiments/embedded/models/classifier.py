"""The classifier: reads the attributes of a picture. An independent measure; nothing is ever optimised on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.degrade import degrade
from experiments.embedded.world.scenes.world import SCENES
from experiments.training.trainer import Trainer, seeded, training_device
from fabric.seeding import generator_for

_MILD = 0.4  # strongest damage seen in training


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.norm(self.conv(x)))


class AttributeClassifier(ModelMixin, ConfigMixin):
    """A small residual network with one softmax for each attribute.

    Args:
        width: channels after the first layer.
        counts: how many values each attribute has.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, width: int = 24, counts: Sequence[int] = tuple(SCENES.counts)) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 6 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                _Residual(after),
            ]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.hidden = nn.Linear(channels[-1] * 16, 128)
        self.heads = nn.Linear(128, sum(counts))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits for each attribute.

        Args:
            images: B x 3 x 64 x 64 in [-1, 1].

        Returns:
            One B x values tensor for each attribute, in the order of the world.
        """
        logits = self.heads(F.relu(self.hidden(self.features(images))))
        return list(logits.split(list(self.config.counts), dim=1))

    @torch.no_grad()
    def read(self, images: Tensor) -> Tensor:
        """Most likely attribute indices, B x A int64, of pictures in [-1, 1]."""
        return torch.stack([logits.argmax(dim=1) for logits in self(images)], dim=1)


def train_classifier(config: Config) -> tuple[AttributeClassifier, float]:
    """Trains the classifier on mildly damaged pictures of all combinations, those that the generator never sees too.

    Args:
        config: sizes and schedule.

    Returns:
        The classifier in eval mode and the seconds it took.
    """
    device = training_device()
    with seeded(config.seed):
        model = AttributeClassifier(config.sizes.classifier, config.world.counts).to(device)
    trainer = Trainer(model, config.classifier, config.workdir / "classifier")

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for(config.seed, "classifier", step)
        scenes = config.world.sample(config.classifier.batch, generator)
        level = _MILD * torch.rand(len(scenes), generator=generator)
        logits = model(degrade(to_signed(config.world.render(scenes)), level, generator).to(device))
        targets = scenes.attributes.to(device)
        losses = [F.cross_entropy(head, targets[:, k]) for k, head in enumerate(logits)]
        right = {
            name: float((head.argmax(1) == targets[:, k]).float().mean())
            for k, (name, head) in enumerate(zip(config.world.names, logits, strict=True))
        }
        return torch.stack(losses).sum(), right

    seconds = trainer.fit(loss)
    return model, seconds
