"""How much noise a scheduler's U-Net input has at each step, so that references can be given just as much."""

from __future__ import annotations

from diffusers import SchedulerMixin
from torch import Tensor


def noise_level(scheduler: SchedulerMixin, index: int) -> tuple[float, float]:
    """Factors of picture and noise in the U-Net's input at one step: input = signal * picture + noise * N(0, 1).

    Schedulers that count in sigmas (Karras et al. 2022, arXiv 2206.00364) hold latents picture + sigma * N(0, 1) and
    scale them by 1 / sqrt(sigma^2 + 1), or hold scaled ones; either way the input is the same. Others take the
    cumulative product of alphas at their timestep. In both forms signal^2 + noise^2 = 1.

    Args:
        scheduler: after `set_timesteps`.
        index: of the step in `scheduler.timesteps`.

    Returns:
        Signal and noise.
    """
    sigmas: Tensor | None = getattr(scheduler, "sigmas", None)
    if sigmas is not None and len(sigmas) >= len(scheduler.timesteps):
        sigma = float(sigmas[index])
        return 1 / (sigma**2 + 1) ** 0.5, sigma / (sigma**2 + 1) ** 0.5
    kept = float(scheduler.alphas_cumprod[int(scheduler.timesteps[index])])
    return kept**0.5, (1 - kept) ** 0.5
