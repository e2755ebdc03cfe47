import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from experiments.embedded.world.degrade import degrade
from experiments.embedded.world.scenes.world import SCENES
from fabric.seeding import generator_for


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return SCENES.render(SCENES.sample(24, generator_for("degrade"))) * 2 - 1


def test_level_zero_leaves_a_picture_as_it_is(pictures: Tensor) -> None:
    level = torch.zeros(len(pictures))
    level[::2] = 0.8
    damaged = degrade(pictures, level, generator_for("zero"))
    error = (damaged - pictures).abs().flatten(1).amax(1)
    assert error[1::2].max() < 1e-4
    assert error[::2].min() > 0.05


def test_damage_grows_with_the_level(pictures: Tensor) -> None:
    previous = torch.zeros(())
    for level in (0.1, 0.3, 0.6, 1.0):
        damaged = degrade(pictures, torch.full((len(pictures),), level), generator_for("grows"))
        error = (damaged - pictures).square().mean()
        assert error > 1.3 * previous
        previous = error
    assert previous > 0.01


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), value=st.floats(-1, 1), level=st.floats(0, 1))
def test_an_even_picture_takes_on_grain_alone(seed: int, value: float, level: float) -> None:
    even = torch.full((3, 3, 64, 64), value)
    grain = degrade(even, torch.full((3,), level), torch.Generator().manual_seed(seed)) - value
    spread = grain.flatten(1).std(1)
    assert (spread <= 0.25 * level * 1.03 + 1e-5).all()
    # Zero mean, pixel by pixel and channel by channel: five standard errors of 12,288 values.
    assert (grain.flatten(1).mean(1).abs() <= 5 * spread / 12288**0.5 + 1e-5).all()


def test_each_picture_gets_a_mix_of_its_own() -> None:
    even = torch.zeros(200, 3, 16, 16)
    spread = degrade(even, torch.ones(200), generator_for("mix")).flatten(1).std(1) / 0.25
    # Grain is the strongest of three damages in a third of the pictures, then at full level.
    assert 0.2 < float((spread > 0.93).float().mean()) < 0.5
    assert spread.min() < 0.1


def test_equal_generators_damage_equally(pictures: Tensor) -> None:
    level, before = torch.full((len(pictures),), 0.5), torch.get_rng_state()
    original = pictures.clone()
    first = degrade(pictures, level, generator_for("x"))
    assert torch.equal(first, degrade(pictures, level, generator_for("x")))
    assert not torch.equal(first, degrade(pictures, level, generator_for("y")))
    assert torch.equal(pictures, original)
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == pictures.shape
    assert torch.isfinite(first).all()
