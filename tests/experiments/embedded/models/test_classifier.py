from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.world.scenes.world import SCENES
from experiments.training.trainer import seeded
from fabric.seeding import generator_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("classifier")]


@pytest.fixture(scope="module")
def classifier() -> AttributeClassifier:
    with seeded(0):
        return AttributeClassifier(width=4).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 3, 64, 64, generator=generator_for("images")) * 2 - 1


def test_there_are_logits_for_every_value_of_every_attribute(classifier: AttributeClassifier, images: Tensor) -> None:
    logits = classifier(images)
    assert [tuple(one.shape) for one in logits] == [(6, len(values)) for values in SCENES.attributes.values()]
    assert all(one.requires_grad for one in logits)


def test_read_names_the_likeliest_value_of_each(classifier: AttributeClassifier, images: Tensor) -> None:
    read = classifier.read(images)
    assert read.shape == (6, len(SCENES.names))
    assert read.dtype == torch.int64
    assert not read.requires_grad
    for column, logits in enumerate(classifier(images)):
        for row, values in enumerate(logits.tolist()):
            assert values.index(max(values)) == read[row, column]


def test_a_forced_head_is_read_back(images: Tensor) -> None:
    with seeded(0):
        classifier = AttributeClassifier(width=4).eval()
    wanted = [len(values) - 1 - k % 2 for k, values in enumerate(SCENES.attributes.values())]
    start = 0
    with torch.no_grad():
        for index, values in zip(wanted, SCENES.attributes.values(), strict=True):
            classifier.heads.bias[start + index] += 1e3
            start += len(values)
    assert start == len(classifier.heads.bias)
    assert classifier.read(images).tolist() == [wanted] * 6


def test_a_picture_is_read_the_same_in_any_company(classifier: AttributeClassifier, images: Tensor) -> None:
    together = torch.cat(classifier(images), dim=1)
    for row in range(len(images)):
        alone = torch.cat(classifier(images[row : row + 1]), dim=1)
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
    assert together.std(0).min() > 0  # no logit is deaf to the picture


def test_every_weight_has_a_gradient(images: Tensor) -> None:
    with seeded(0):
        classifier = AttributeClassifier(width=4)
    sum(one.square().sum() for one in classifier(images)).backward()
    for name, parameter in classifier.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_a_saved_classifier_reads_the_same(classifier: AttributeClassifier, images: Tensor, tmp_path: Path) -> None:
    classifier.save_pretrained(tmp_path)
    loaded = AttributeClassifier.from_pretrained(tmp_path)
    assert loaded.config.width == 4
    assert not loaded.training
    for one, other in zip(loaded(images), classifier(images), strict=True):
        assert torch.equal(one, other)
