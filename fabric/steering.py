"""FABRIC on a diffusers pipeline: `with feedback(pipe, params, liked=..., disliked=...): pipe(prompt)`.

The mathematics is Algorithm 1 of von Rütte et al. 2023 (arXiv 2307.10159): at every step each feedback image is noised
as much as the latents, passed through the U-Net with the empty prompt, and the hidden states in front of the
self-attention layers become further keys and values; liked images join the conditional pass, disliked ones the
unconditional pass. The pipeline, its task and its arguments are the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from torch import Tensor

from fabric.bank import ReferenceBank
from fabric.hook import Processors, attached, record
from fabric.host import UNetHost
from fabric.images import FeedbackImage
from fabric.noise_level import cumulative_alphas
from fabric.params import FabricParams
from fabric.plan import AttentionPlan, Row, StepGroup, rows_of
from fabric.references import References, Step

RowsOf = Callable[[int, int], Sequence[Row]]
"""Rows of a call's batch, of its size and of the number of evaluations."""


class Steering:
    """Says for each call of the U-Net who attends to what; see `fabric.hook.Steer`.

    Args:
        host: of the pipeline.
        references: computes and keeps hidden states.
        scheduler: that the calls follow, asked for at every call.
        rows: of a batch.
        level: a fraction of the training timesteps at which all references are noised, instead of that of each step:
            one pass and one entry of the bank serve all steps.
    """

    def __init__(
        self,
        host: UNetHost,
        references: References,
        scheduler: Callable[[], SchedulerMixin],
        rows: RowsOf,
        level: float | None = None,
    ) -> None:
        self.host = host
        self.references = references
        self.scheduler = scheduler
        self.rows = rows
        self.level = level
        self._received: list[list[tuple[StepGroup, Tensor]]] = []
        self._groups: list[StepGroup] = []
        self._run: _Run | None = None

    def before(self, processors: Processors, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Gives the processors what a call attends to; see `fabric.hook.Steer`."""
        sample, timestep, *_ = (*args, *(kwargs[name] for name in ("sample", "timestep") if name in kwargs))
        scheduler = self.scheduler()
        if self._run is None or not self._run.goes_on(scheduler, sample):
            self._run = _Run(self, scheduler, sample)
            self.references.bank.begin_run()
        run, plan = self._run, self._run.plan
        step = run.step(scheduler, timestep)
        at = run.timesteps[step] if self.level is None else round(self.level * (len(run.alphas) - 1))
        reference_step = Step(float(at), run.size, plan.with_outer(step), run.version, sample.device)

        def recorded(call: Callable[[], object], names: Sequence[str]) -> dict[str, Tensor]:
            return record(processors, call, names, break_off=self.host.may_break_off)

        hidden = self.references.at(plan.images(step), reference_step, run.alphas, recorded, kwargs)
        for name, processor in processors.items():
            processor.shown = plan.shown(step, hidden, self.host.layers[name])
        self._groups = plan.groups(step)

    def after(self, processors: Processors) -> None:
        """Keeps what references received; see `fabric.hook.Steer`."""
        parts = []
        for number, group in enumerate(self._groups):
            shares = [processor.received[number] for processor in processors.values() if number in processor.received]
            if shares:
                parts.append((group, torch.stack(shares).mean(dim=0)))
        self._received.append(parts)

    def received(self) -> list[dict[int, dict[str, float]]]:
        """For each call so far the share of the attention that references received, by place in the batch and id.

        A mean over layers that see references, heads and tokens; 0 to 1.
        """
        return [
            {
                row: dict(zip(names, shares, strict=True))
                for group, table in parts
                for row, names, shares in zip(group.rows, group.names, table.tolist(), strict=True)
            }
            for parts in self._received
        ]


class _Run:
    """One denoising loop: worked out at its first call, so that later calls neither compute nor wait."""

    def __init__(self, steering: Steering, scheduler: SchedulerMixin, sample: Tensor) -> None:
        host = steering.host
        self.timesteps: list[float] = scheduler.timesteps.tolist()
        self.alphas = cumulative_alphas(scheduler)
        self.version = host.version
        self.shape = sample.shape
        height, width = sample.shape[-2:]
        factor = host.pipeline.vae_scale_factor
        self.size = (height * factor, width * factor)
        rows = steering.rows(len(sample), len(self.timesteps))
        self.plan = AttentionPlan(rows, sample.device, lambda image: image.fitted_mask(height, width))
        self._schedule = scheduler.timesteps
        self._last = -1

    def goes_on(self, scheduler: SchedulerMixin, sample: Tensor) -> bool:
        """Whether a call belongs to this loop: the same timesteps and shape, and some are left."""
        return (
            scheduler.timesteps is self._schedule
            and sample.shape == self.shape
            and self._last + 1 < len(self.timesteps)
        )

    def step(self, scheduler: SchedulerMixin, timestep: Tensor | float) -> int:
        """Index of a call's evaluation: as the scheduler counts, else the next one of its timestep."""
        counted = getattr(scheduler, "step_index", None)
        if counted is None:
            counted = getattr(scheduler, "begin_index", None)
        if counted is None or hasattr(scheduler, "ets"):
            value = float(timestep)
            later = [k for k in range(self._last + 1, len(self.timesteps)) if self.timesteps[k] == value]
            counted = later[0] if later else self.timesteps.index(value)
        self._last = int(counted)
        return self._last


@contextmanager
def feedback(
    pipeline: DiffusionPipeline,
    params: FabricParams | None = None,
    *,
    liked: Sequence[FeedbackImage] = (),
    disliked: Sequence[FeedbackImage] = (),
    round: int = 0,
    bank: ReferenceBank | None = None,
    seed: int = 0,
    level: float | None = None,
) -> Iterator[Steering]:
    """Within, every image of a pipeline is steered by feedback images; its task and its arguments are the caller's.

    Args:
        pipeline: Stable Diffusion 1.x, 2.x or XL: text to image, image to image, inpainting, ControlNet, with LoRAs or
            IP-Adapters, offloaded or compiled. It is left as it was.
        params: FABRIC's settings; `prompt_dropout` and `guidance_scale` are arguments of the pipeline, not of these.
        liked: images to come closer to.
        disliked: images to keep away from. Where the pipeline has no unconditional pass, at guidance 1, attention is
            turned away from them instead.
        round: that is generated, for `recency`.
        bank: keeps references' hidden states from call to call; one of its own by default.
        seed: of the references' noise.
        level: a fraction of the training timesteps, 0 to 1, at which all references are noised instead of that of each
            step.

    Yields:
        What references receive can be asked of it afterwards: `received()`.

    Raises:
        ValueError: the pipeline is of no known family, or a value is out of range.
    """
    if level is not None and not 0 <= level <= 1:
        raise ValueError(f"level: {level} is out of range; allowed: 0 to 1")
    host = UNetHost(pipeline)
    settings = params or FabricParams()
    rows_of(settings, liked, disliked, 1, round)  # raises what it would raise within

    def rows(batch: int, steps: int) -> list[Row]:
        unconditional, conditional, single = rows_of(settings, liked, disliked, steps, round)
        count = host.unconditional(batch)
        return [unconditional] * count + [conditional if count else single] * (batch - count)

    references = References(host, ReferenceBank() if bank is None else bank, seed)
    steering = Steering(host, references, lambda: pipeline.scheduler, rows, level)
    with attached(host, steering):
        yield steering
