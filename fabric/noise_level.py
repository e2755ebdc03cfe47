"""How much noise a model expects at a timestep, so that references can be given just as much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from diffusers import SchedulerMixin
from torch import Tensor

_COUNT_OTHERWISE = ("EDM", "CosineDPM", "CMStochastic", "ConsistencyDecoder")  # beginnings of their names


def cumulative_alphas(scheduler: SchedulerMixin) -> Tensor:
    """The noise schedule that a model was trained on: the cumulative product of alphas by training timestep.

    Raises:
        ValueError: the scheduler's timesteps do not count in it, so that the noise level of a timestep is unknown.
    """
    name = type(scheduler).__name__
    alphas: Tensor | None = getattr(scheduler, "alphas_cumprod", None)
    flow = is_flow(scheduler)
    if alphas is None or flow or name.startswith(_COUNT_OTHERWISE):
        which = f"{name} with flow sigmas" if flow and alphas is not None else name
        raise ValueError(
            f"scheduler: the noise level of {which} is not known; allowed: those that count in timesteps of a "
            "variance-preserving model, such as Euler, DDIM, DPM++, UniPC, Heun and LCM"
        )
    return alphas


def noise_level(alphas: Tensor, timestep: float) -> tuple[float, float]:
    """Factors of picture and noise in the model's input: input = signal * picture + noise * N(0, 1).

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


class NoiseLevels(Protocol):
    """How much of picture and noise a model's input has at a timestep."""

    def at(self, timestep: float) -> tuple[float, float]:
        """Factors of picture and noise: input = signal * picture + noise * N(0, 1)."""

    def timestep(self, fraction: float) -> float:
        """The timestep at a fraction of those trained on: 0 no noise, 1 nothing but noise."""


@dataclass(frozen=True)
class VariancePreserving:
    """Of models whose signal and noise have squares that sum to 1.

    Attributes:
        alphas: cumulative products by training timestep.
    """

    alphas: Tensor

    @classmethod
    def of(cls, scheduler: SchedulerMixin) -> VariancePreserving:
        """Those of a scheduler; see `cumulative_alphas`."""
        return cls(cumulative_alphas(scheduler))

    def at(self, timestep: float) -> tuple[float, float]:
        """See `noise_level`."""
        return noise_level(self.alphas, timestep)

    def timestep(self, fraction: float) -> float:
        """See `NoiseLevels`."""
        return float(round(fraction * (len(self.alphas) - 1)))


@dataclass(frozen=True)
class FlowMatching:
    """Of models of straight paths from picture to noise (Lipman et al. 2023, arXiv 2210.02747): (1 - s) x + s noise.

    Attributes:
        trained: timesteps that stand for s from 0 to 1.
    """

    trained: int

    @classmethod
    def of(cls, scheduler: SchedulerMixin) -> FlowMatching:
        """Those of a scheduler.

        Raises:
            ValueError: its timesteps do not count along straight paths.
        """
        if not is_flow(scheduler):
            raise ValueError(
                f"scheduler: {type(scheduler).__name__} is not for flow matching, which the model was trained by; "
                "allowed: FlowMatchEuler and what has flow sigmas"
            )
        return cls(scheduler.config.num_train_timesteps)

    def at(self, timestep: float) -> tuple[float, float]:
        """See `NoiseLevels`."""
        return 1 - timestep / self.trained, timestep / self.trained

    def timestep(self, fraction: float) -> float:
        """See `NoiseLevels`."""
        return fraction * self.trained


def is_flow(scheduler: SchedulerMixin) -> bool:
    """Whether a scheduler's timesteps count along straight paths from picture to noise."""
    config = scheduler.config
    flows = config.get("use_flow_sigmas", False) or config.get("prediction_type") == "flow_prediction"
    return type(scheduler).__name__.startswith("FlowMatch") or flows
