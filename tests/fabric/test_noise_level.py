from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    DDPMScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    KDPM2DiscreteScheduler,
)

from fabric.models import SCHEDULERS
from fabric.noise_level import cumulative_alphas, noise_level

TRAINED = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_references_get_what_the_scheduler_gives_its_own_latents(name: str) -> None:
    kind, options = SCHEDULERS[name]
    scheduler: Any = kind.from_config(TRAINED.config, **options)
    scheduler.set_timesteps(7)
    alphas = cumulative_alphas(scheduler)
    picture = torch.full((1, 4, 1, 1), 0.7)
    noise = torch.full((1, 4, 1, 1), -1.3)
    # Karras' sigmas lie between training timesteps, to which the scheduler rounds: the model is told the rounded one.
    tolerance = 5e-3 if "karras" in name else 1e-4
    for index, t in enumerate(scheduler.timesteps):
        fresh: Any = kind.from_config(TRAINED.config, **options)
        fresh.set_timesteps(7)
        if hasattr(fresh, "_step_index"):
            fresh._step_index = index
            fresh._begin_index = 0
        theirs = fresh.scale_model_input(fresh.add_noise(picture, noise, t[None]), t)
        signal, spread = noise_level(alphas, float(t))
        assert signal**2 + spread**2 == pytest.approx(1)
        torch.testing.assert_close(signal * picture + spread * noise, theirs, rtol=tolerance, atol=tolerance)


def test_second_evaluations_have_the_level_of_their_own_timestep() -> None:
    scheduler: Any = KDPM2DiscreteScheduler.from_config(TRAINED.config)
    scheduler.set_timesteps(5)
    alphas = cumulative_alphas(scheduler)
    between = scheduler.sigmas_interpol[1:3]  # of the second evaluation of the first step
    signal, spread = noise_level(alphas, float(scheduler.timesteps[1]))
    assert float(between.min()) * 0.99 <= spread / signal <= float(between.max()) * 1.01


@pytest.mark.parametrize(
    "scheduler",
    [
        EDMEulerScheduler(),
        FlowMatchEulerDiscreteScheduler(),
        EulerDiscreteScheduler(use_karras_sigmas=False, prediction_type="epsilon"),
    ],
)
def test_unknown_levels_are_refused(scheduler: Any) -> None:
    if isinstance(scheduler, EulerDiscreteScheduler):
        assert len(cumulative_alphas(scheduler)) == 1000
        return
    name = type(scheduler).__name__
    with pytest.raises(ValueError, match=f"scheduler: the noise level of {name} is not known; allowed: "):
        cumulative_alphas(scheduler)
