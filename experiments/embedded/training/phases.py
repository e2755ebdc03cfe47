"""Phases of the generator's training: what noise, what is predicted, how the steps are weighed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from diffusers import DDPMScheduler

from experiments.training.trainer import Schedule

STABLE_DIFFUSION_NOISE: dict[str, float | str] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
# Stable Diffusion's noise ends where the layout of a 16 x 16 latent still shows through: a model trained on it alone
# reads positions off the noise and ignores the prompt's (Lin et al. 2023, arXiv 2305.08891). Here it does not.
NOISE = {**STABLE_DIFFUSION_NOISE, "beta_end": 0.017, "prediction_type": "v_prediction"}


@dataclass(frozen=True)
class Phase:
    """One part of the training.

    Attributes:
        name: of the folder that its checkpoints are kept in.
        length: how long and how fast.
        noise: what the noise schedule and the prediction are.
        snr_floor: added to the signal-to-noise ratio in the loss weight; see `denoising.picture_weight`.
        power: of the distribution of noise levels; see `denoising.draw_times`. Below 1 prefers little noise, where
            details are decided.
        said: how often a caption states an attribute, 0 where not named; as the world has it by default.
        siblings: share of a batch that are siblings, each for another example to attend to; see `siblings`.
        shared: attributes that a sibling has in common with its example; all of them where none is named.
        hidden: attributes that an example with a sibling leaves unsaid, for the sibling to tell.
        sibling_power: `power` for examples with a sibling.
    """

    name: str
    length: Schedule
    noise: dict[str, float | str]
    snr_floor: float = 0.0
    power: float = 1.0
    said: Mapping[str, float] | None = None
    siblings: float = 0.0
    shared: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    sibling_power: float = 1.0

    @cached_property
    def schedule(self) -> DDPMScheduler:
        """The noise schedule that adds noise."""
        return DDPMScheduler(**self.noise)
