from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st

from experiments.embedded.models.codec import build_codec
from experiments.embedded.models.denoising import draw_times, encode_pool, prediction_weight
from experiments.embedded.training.pool import Pool
from experiments.embedded.world.scenes.world import SCENES
from experiments.training.trainer import seeded
from fabric.seeding import generator_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("denoising")]


@given(
    snr=st.floats(1e-3, 1e3),
    floor=st.floats(0, 1),
    noise=st.floats(-3, 3),
    error=st.floats(-3, 3),
    kind=st.sampled_from(["epsilon", "v_prediction"]),
)
def test_predictions_are_weighted_as_the_picture_is(
    snr: float, floor: float, noise: float, error: float, kind: str
) -> None:
    # A picture wrong by `error` in the same noisy latent: what that makes of noise and velocity, by their definition.
    alpha, sigma = (snr / (snr + 1)) ** 0.5, (1 / (snr + 1)) ** 0.5
    noisy, wrong = alpha * 0.7 + sigma * noise, 0.7 + error
    implied = (noisy - alpha * wrong) / sigma
    gap = implied - noise if kind == "epsilon" else (alpha * implied - sigma * wrong) - (alpha * noise - sigma * 0.7)
    weight = float(prediction_weight(torch.tensor([snr], dtype=torch.float64), floor, kind))
    assert weight * gap**2 == pytest.approx(min(snr + floor, 5.0) * error**2, rel=1e-6, abs=1e-9)


@given(count=st.integers(1, 40), seed=st.integers(0, 2**31), power=st.sampled_from([1.0, 2.0]))
def test_times_are_spread_over_their_distribution(count: int, seed: int, power: float) -> None:
    times = draw_times(count, torch.Generator().manual_seed(seed), power)
    assert times.shape == (count,)
    assert times.min() >= 0
    assert times.max() <= 999
    # One in each stratum of the distribution, up to the rounding of a time to an integer.
    low, high = (((times + k) / 1000).clamp(0, 1) ** power * count for k in (-1e-3, 1 + 1e-3))
    order = times.argsort()
    strata = torch.arange(count)
    assert (low[order] <= strata + 1).all()
    assert (high[order] >= strata).all()


@pytest.fixture(scope="module")
def codec() -> AutoencoderKL:
    with seeded(1):
        return build_codec((8, 8, 8)).eval()


def test_encode_pool_keeps_scaled_latents_on_disk(tmp_path: Path, codec: AutoencoderKL) -> None:
    with seeded(4):
        scaled = build_codec((8, 8, 8)).eval()
    scaled.register_to_config(scaling_factor=0.5)
    pixels = torch.randint(256, (5, 3, 64, 64), generator=generator_for("pixels")).byte()
    pool = Pool(SCENES.sample(5, generator_for("scenes")), pixels)
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
