"""Fine-tuning of the embedded model, as short as can be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.config.errors import checked
from experiments.personal.config import PersonalConfig
from experiments.personal.material import read_material
from experiments.personal.rewards import Scorers
from experiments.personal.tune import Tuner
from fabric.generator import FabricGenerator, Request
from fabric.models import load
from fabric.params import FabricParams
from objectives.registry import create
from objectives.shared import SharedModels

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("personal")]

TINY = {
    "scenes": {"count": 2, "board": 3},
    "negatives": 1,
    "steps": 4,
    "validate_every": 2,
    "validation_images": 1,
    "image_steps": 2,
    "batch": 2,
}


def _config(**changes: Any) -> PersonalConfig:
    return checked(PersonalConfig, {**TINY, **changes})


def _tuner(config: PersonalConfig) -> Tuner:
    shared = SharedModels()
    image, text = (create(name, "embedded", shared=shared) for name in ("clip-target", "clip-prompt"))
    tuner = Tuner(load(device="cpu"), config, read_material(config), Scorers(image, text))
    tuner.prepare()
    return tuner


def _nothing(step: int, parts: Mapping[str, float]) -> None:
    """Tells nobody."""


@pytest.mark.parametrize("rank", [4, 0])
def test_before_anything_is_learnt_the_loss_is_similarity_and_log_two(rank: int) -> None:
    tuner = _tuner(_config(rank=rank))
    loss, parts = tuner.loss(0)
    assert parts["preference"] == pytest.approx(math.log(2), abs=1e-6)
    assert float(loss.detach()) == pytest.approx(parts["similarity"] + math.log(2), abs=1e-6)


def test_a_disabled_adapter_is_the_base_bit_for_bit() -> None:
    base, tuner = load(device="cpu").unet, _tuner(_config(rank=4))
    with torch.no_grad():
        for value in tuner.trained.values():
            value.add_(0.1)
    latents, times = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    texts = tuner.reference_texts[:1]
    plain = base(latents, times, texts).sample
    assert not torch.equal(tuner.unet(latents, times, texts).sample, plain)
    tuner.unet.disable_adapters()
    assert torch.equal(tuner.unet(latents, times, texts).sample, plain)


def test_a_pair_of_dpo_has_one_noise_and_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner, seen = _tuner(_config(method="dpo")), []
    errors = tuner.errors

    def watched(unet: Any, latents: Any, texts: Any, noise: Any, times: Any) -> Any:
        seen.append((noise, times))
        return errors(unet, latents, texts, noise, times)

    monkeypatch.setattr(tuner, "errors", watched)
    tuner.loss(0)
    for noise, times in seen:
        assert torch.equal(noise[:2], noise[2:])
        assert torch.equal(times[:2], times[2:])


def test_a_training_that_was_stopped_is_the_unbroken_one(tmp_path: Path) -> None:
    whole = _tuner(_config())
    history = whole.fit(tmp_path / "whole", _nothing)
    assert list(history.looks) == [0, 2, 4]

    def stop(step: int, parts: Mapping[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    broken = _tuner(_config())
    with pytest.raises(KeyboardInterrupt):
        broken.fit(tmp_path / "broken", stop)
    again = _tuner(_config())
    resumed = again.fit(tmp_path / "broken", _nothing)
    assert resumed.looks == pytest.approx(history.looks)
    for name, value in whole.trained.items():
        torch.testing.assert_close(again.trained[name], value)


def test_what_was_best_on_validation_is_kept_and_a_file_gives_it_back(tmp_path: Path) -> None:
    tuner = _tuner(_config(lr=0.05, steps=2, validate_every=1))
    history = tuner.fit(tmp_path, _nothing)
    best = max(history.looks, key=lambda step: history.looks[step])
    assert tuner.validation_reward() == pytest.approx(history.looks[best], abs=1e-5)
    request = [Request("a red star", 0, FabricParams(strength=0, guidance_scale=4))]
    ours = FabricGenerator(tuner.pipeline)(request, 4).images
    file = tuner.export(tmp_path / "out")
    read = FabricGenerator(load(device="cpu", loras=((str(file), 1.0),)))(request, 4).images
    torch.testing.assert_close(read, ours, atol=1e-4, rtol=1e-3)
    assert best > 0 or torch.equal(FabricGenerator(load(device="cpu"))(request, 4).images, ours)


def test_references_are_learnt() -> None:
    tuner = _tuner(_config(method="similarity", lr=3e-3, batch=4))
    rows = torch.arange(len(tuner.references)).repeat(16)
    noise = torch.randn(len(rows), 4, 16, 16, generator=torch.Generator().manual_seed(1))
    times = torch.linspace(50, 950, len(rows)).long()
    inputs = tuner.references[rows], tuner.reference_texts[rows], noise, times
    with torch.no_grad():
        before = float(tuner.errors(tuner.unet, *inputs).mean())
    for step in range(30):
        loss, _ = tuner.loss(step)
        tuner.optimizer.zero_grad()
        loss.backward()
        tuner.optimizer.step()
    with torch.no_grad():
        after = float(tuner.errors(tuner.unet, *inputs).mean())
    assert after < before
