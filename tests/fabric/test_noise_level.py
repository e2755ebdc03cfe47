from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler

from fabric.models import SCHEDULERS
from fabric.noise_level import noise_level

TRAINED = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_references_get_what_the_scheduler_gives_its_own_latents(name: str) -> None:
    kind, options = SCHEDULERS[name]
    scheduler: Any = kind.from_config(TRAINED.config, **options)
    scheduler.set_timesteps(7)
    picture = torch.full((1, 4, 1, 1), 0.7)
    noise = torch.full((1, 4, 1, 1), -1.3)
    for index, t in enumerate(scheduler.timesteps):
        fresh: Any = kind.from_config(TRAINED.config, **options)
        fresh.set_timesteps(7)
        if hasattr(fresh, "_step_index"):
            fresh._step_index = index
            fresh._begin_index = 0
        theirs = fresh.scale_model_input(fresh.add_noise(picture, noise, t[None]), t)
        signal, spread = noise_level(scheduler, index)
        assert signal**2 + spread**2 == pytest.approx(1)
        torch.testing.assert_close(signal * picture + spread * noise, theirs, rtol=1e-4, atol=1e-4)
