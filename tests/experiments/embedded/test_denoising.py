from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st

from experiments.embedded.codec import build_codec
from experiments.embedded.denoising import draw_times, encode_pool, velocity_weight
from experiments.embedded.pool import Pool
from experiments.embedded.scenes import sample
from experiments.embedded.training import seeded
from fabric.seeding import generator_for


@given(snr=st.floats(1e-4, 1e4), noise=st.floats(-3, 3), error=st.floats(-3, 3))
def test_velocity_weight_is_min_snr_for_the_picture_with_a_floor(snr: float, noise: float, error: float) -> None:
    # A picture wrong by `error` at the same noisy latent: what that makes of the velocity, by its definition.
    alpha, sigma = (snr / (snr + 1)) ** 0.5, (1 / (snr + 1)) ** 0.5
    noisy = alpha * 0.7 + sigma * noise
    wrong = 0.7 + error
    true_velocity = alpha * noise - sigma * 0.7
    wrong_velocity = alpha * (noisy - alpha * wrong) / sigma - sigma * wrong
    weighted = float(velocity_weight(torch.tensor([snr], dtype=torch.float64))) * (wrong_velocity - true_velocity) ** 2
    assert weighted == pytest.approx(min(snr + 0.2, 5.0) * error**2, rel=1e-6, abs=1e-9)


@given(count=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_times_are_spread_over_the_schedule(count: int, seed: int) -> None:
    times = draw_times(count, torch.Generator().manual_seed(seed))
    strata = (times + 0.5) * count / 1000
    # One in each stratum, up to the rounding of a time to an integer.
    assert (strata.sort().values - torch.arange(count) - 0.5).abs().max() <= 0.5 + count / 1000
    assert times.min() >= 0
    assert times.max() <= 999


@pytest.fixture(scope="module")
def codec() -> AutoencoderKL:
    with seeded(1):
        return build_codec((8, 8, 8)).eval()


def test_encode_pool_keeps_scaled_latents_on_disk(tmp_path: Path, codec: AutoencoderKL) -> None:
    with seeded(4):
        scaled = build_codec((8, 8, 8)).eval()
    scaled.register_to_config(scaling_factor=0.5)
    pixels = torch.randint(256, (5, 3, 64, 64), generator=generator_for("pixels")).byte()
    pool = Pool(sample(5, generator_for("scenes")), pixels)
    latents = encode_pool(scaled, pool, tmp_path / "latents.safetensors", batch=2)
    assert latents.shape == (5, 4, 16, 16)
    assert latents.dtype == torch.float16
    assert latents.device.type == "cpu"
    with torch.no_grad():
        exact = 0.5 * scaled.encode(pixels.float() / 127.5 - 1).latent_dist.mean
    # bfloat16 inside: about three digits.
    assert (latents.float() - exact).abs().max() < 0.05 * exact.abs().max()
    # A resumed run reads what is there; latents of another codec are made anew.
    written = (tmp_path / "latents.safetensors").stat().st_mtime_ns
    assert torch.equal(encode_pool(scaled, pool, tmp_path / "latents.safetensors"), latents)
    assert (tmp_path / "latents.safetensors").stat().st_mtime_ns == written
    fresh = encode_pool(codec, pool, tmp_path / "latents.safetensors")
    assert not torch.allclose(fresh, latents, atol=1e-3)
