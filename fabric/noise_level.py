"""How much noise a U-Net expects at a timestep, so that references can be given just as much."""

from __future__ import annotations

import torch
from diffusers import SchedulerMixin
from torch import Tensor

_COUNT_OTHERWISE = ("EDM", "CosineDPM", "FlowMatch", "CMStochastic", "ConsistencyDecoder")  # beginnings of their names


def cumulative_alphas(scheduler: SchedulerMixin) -> Tensor:
    """The noise schedule that a model was trained on: the cumulative product of alphas by training timestep.

    Raises:
        ValueError: the scheduler's timesteps do not count in it, so that the noise level of a timestep is unknown.
    """
    name = type(scheduler).__name__
    alphas: Tensor | None = getattr(scheduler, "alphas_cumprod", None)
    flow = (
        getattr(scheduler.config, "use_flow_sigmas", False)
        or scheduler.config.get("prediction_type") == "flow_prediction"
    )
    if alphas is None or flow or name.startswith(_COUNT_OTHERWISE):
        raise ValueError(
            f"scheduler: the noise level of {name}{' with flow sigmas' if flow else ''} is not known; allowed: those "
            "that count in timesteps of a variance-preserving model, such as Euler, DDIM, DPM++, UniPC, Heun and LCM"
        )
    return alphas


def noise_level(alphas: Tensor, timestep: float) -> tuple[float, float]:
    """Factors of picture and noise in the U-Net's input: input = signal * picture + noise * N(0, 1).

    The level is what the model is told by its timestep, whatever the scheduler does in between; between two training
    timesteps the logarithm of sigma = noise / signal is interpolated (Karras et al. 2022, arXiv 2206.00364).

    Args:
        alphas: cumulative products by training timestep.
        timestep: from 0 to their number less 1; may lie between two.

    Returns:
        Signal and noise, whose squares sum to 1.
    """
    log_sigmas = ((1 - alphas.double()) / alphas.double()).sqrt().log()
    place = min(max(timestep, 0.0), len(alphas) - 1.0)
    low = min(int(place), len(alphas) - 2)
    sigma = float(torch.lerp(log_sigmas[low], log_sigmas[low + 1], place - low).exp())
    return 1 / (sigma**2 + 1) ** 0.5, sigma / (sigma**2 + 1) ** 0.5
