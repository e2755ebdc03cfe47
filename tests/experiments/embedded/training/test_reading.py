from __future__ import annotations

import math

import pytest
import torch

from experiments.embedded.training.reading import Reader
from experiments.embedded.world.scenes.world import SCENES
from experiments.training.trainer import seeded
from fabric.seeding import generator_for


def test_loss_is_the_mean_surprise_over_attributes_and_scenes() -> None:
    with seeded(0):
        reader = Reader(5, SCENES.counts)
    features = torch.randn(3, 5, generator=generator_for("features"))
    attributes = SCENES.sample(3, generator_for("scenes")).attributes
    rows = reader(features).tolist()
    surprises = []
    for logits, right in zip(rows, attributes.tolist(), strict=True):
        start = 0
        for values, index in zip(SCENES.attributes.values(), right, strict=True):
            own = logits[start : start + len(values)]
            surprises.append(math.log(sum(map(math.exp, own))) - own[index])
            start += len(values)
    assert float(reader.loss(features, attributes)) == pytest.approx(sum(surprises) / len(surprises), rel=1e-5)


def test_a_reader_that_knows_has_no_loss() -> None:
    attributes = SCENES.sample(4, generator_for("scenes")).attributes
    counts = [len(values) for values in SCENES.attributes.values()]
    known = torch.cat([torch.eye(n)[attributes[:, k]] for k, n in enumerate(counts)], dim=1)
    reader = Reader(sum(counts), counts)
    with torch.no_grad():
        reader.weight.copy_(50 * torch.eye(sum(counts)))
        reader.bias.zero_()
    assert float(reader.loss(known, attributes)) < 1e-6
