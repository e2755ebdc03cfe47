import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from experiments.embedded.models.codec import build_codec, codec_loss
from experiments.training.trainer import seeded
from fabric.seeding import generator_for


def differences(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of horizontal, plus that of vertical, neighbour differences."""
    across = (a[..., 1:] - a[..., :-1]) - (b[..., 1:] - b[..., :-1])
    down = (a[..., 1:, :] - a[..., :-1, :]) - (b[..., 1:, :] - b[..., :-1, :])
    return float(across.abs().mean() + down.abs().mean())


class Offset:
    """A codec that adds a fixed picture; its posterior has mean m and standard deviation s."""

    def __init__(self, offset: Tensor, mean: float, std: float) -> None:
        self.offset, self.mean, self.std = offset, mean, std
        self.decoded_from = torch.empty(0)

    def encode(self, images: Tensor) -> SimpleNamespace:
        self.images = images
        shape = (len(images), 4, 16, 16)
        kl = torch.full((len(images),), 512 * (self.mean**2 + self.std**2 - 1))
        kl = kl - 1024 * math.log(self.std)
        posterior = SimpleNamespace(mean=torch.full(shape, self.mean), std=torch.full(shape, self.std), kl=lambda: kl)
        return SimpleNamespace(latent_dist=posterior)

    def decode(self, latents: Tensor) -> SimpleNamespace:
        self.decoded_from = latents
        return SimpleNamespace(sample=self.images + self.offset)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=generator_for("images")) * 2 - 1


@pytest.fixture
def noise() -> Tensor:
    return torch.randn(2, 4, 16, 16, generator=generator_for("noise"))


def test_a_perfect_codec_has_no_loss(images: Tensor, noise: Tensor) -> None:
    codec = Offset(torch.zeros(()), mean=0.0, std=1.0)
    loss, squared = codec_loss(codec, images, noise)
    assert float(loss) == float(squared) == 0
    assert torch.equal(codec.decoded_from, noise)


def test_an_even_offset_costs_pixels_but_no_edges(images: Tensor, noise: Tensor) -> None:
    codec = Offset(torch.full((), 0.2), mean=0.5, std=0.3)
    loss, squared = codec_loss(codec, images, noise)
    assert float(squared) == pytest.approx(0.04, rel=1e-4)
    kl = 1024 * (0.5**2 + 0.3**2 - 1 - 2 * math.log(0.3)) / 2
    assert float(loss) == pytest.approx(0.04 + 0.5 * 0.2 + 1e-5 * kl, rel=1e-4)
    torch.testing.assert_close(codec.decoded_from, 0.5 + 0.3 * noise)


def test_a_sharp_offset_costs_edges_as_well(images: Tensor, noise: Tensor) -> None:
    stripes = 0.2 * (torch.arange(64) % 2 * 2 - 1)
    loss, squared = codec_loss(Offset(stripes, 0.0, 1.0), images, noise)
    assert float(squared) == pytest.approx(0.04, rel=1e-4)
    # Across stripes of +-0.2 neighbours are 0.4 apart, along them they are equal.
    assert float(loss) == pytest.approx(0.04 + 0.5 * 0.2 + 0.5 * 0.4, rel=1e-4)


def test_loss_of_a_network_is_that_of_its_parts(images: Tensor, noise: Tensor) -> None:
    with seeded(0):
        codec = build_codec((8, 8, 8))
    with torch.no_grad():
        loss, squared = codec_loss(codec, images, noise)
        mean, log_variance = codec.encode(images).latent_dist.parameters.chunk(2, dim=1)
        decoded = codec.decode(mean + (log_variance / 2).exp() * noise).sample
    error = decoded - images
    kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean() / 2
    expected = error.square().mean() + 0.5 * error.abs().mean() + 1e-5 * kl
    assert float(squared) == pytest.approx(float(error.square().mean()), rel=1e-4)
    total = float(expected) + 0.5 * differences(decoded, images)
    assert float(loss) == pytest.approx(total, rel=1e-4)


def test_every_weight_has_a_gradient(images: Tensor, noise: Tensor) -> None:
    with seeded(0):
        codec = build_codec((8, 8, 8))
    codec_loss(codec, images[:1], noise[:1])[0].backward()
    for name, parameter in codec.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_pictures_become_latents_of_a_quarter_and_come_back(images: Tensor) -> None:
    with seeded(0), torch.no_grad():
        codec = build_codec((8, 8, 16)).eval()
        latents = codec.encode(images).latent_dist.mean
        assert latents.shape == (2, 4, 16, 16)
        assert codec.decode(latents).sample.shape == images.shape
    assert codec.config.latent_channels == 4
    assert codec.config.sample_size == 64
