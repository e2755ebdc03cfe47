"""FABRIC on a diffusers pipeline: `with feedback(pipe, params, liked=..., disliked=...): pipe(prompt)`.

The mathematics is Algorithm 1 of von Rütte et al. 2023 (arXiv 2307.10159): at every step each feedback image is noised
as much as the latents, passed through the model with the empty prompt, and the hidden states in front of the
self-attention layers become further keys and values; liked images join the conditional pass, disliked ones the
unconditional pass. The pipeline, its task and its arguments are the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from torch import Tensor

from fabric.bank import ReferenceBank
from fabric.hook import Processors, attached, record
from fabric.hosts import host_of
from fabric.hosts.base import Call, Host
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.plan import AttentionPlan, Role, Row, StepGroup, rows_of
from fabric.references import References, Step

RowsOf = Callable[[Call, int], Sequence[Row]]
"""Rows of a call's batch, of the call and of the number of evaluations."""
Layers = range | None
"""Places of layers in the order of a call, in which alone references are seen; None for what is usual in the family."""
Level = float | Literal["each"] | None
"""A fraction of the training timesteps at which all references are noised, so that one pass and one entry of the bank
serve all steps; "each" for the level of each step, None for what is usual in the family."""


class Steering:
    """Says for each call of the model who attends to what; see `fabric.hook.Steer`.

    Args:
        host: of the pipeline.
        references: computes and keeps hidden states.
        scheduler: that the calls follow, asked for at every call.
        rows: of a batch.
        level: of the references' noise; see `Level`.
        layers: in which they are seen; see `Layers`.
    """

    def __init__(
        self,
        host: Host,
        references: References,
        scheduler: Callable[[], SchedulerMixin],
        rows: RowsOf,
        level: Level = None,
        layers: Layers = None,
    ) -> None:
        self.host = host
        self.references = references
        self.scheduler = scheduler
        self.rows = rows
        self.level = level_of(host, level)
        self.layers = layers_of(host, layers)
        self._seeing = {layer.name: layer for layer in host.seen(self.layers, outer=True)}
        self._received: list[list[tuple[StepGroup, Tensor]]] = []
        self._groups: list[StepGroup] = []
        self._run: _Run | None = None

    def before(self, processors: Processors, call: Call) -> None:
        """Gives the processors what a call attends to; see `fabric.hook.Steer`."""
        scheduler, device = self.scheduler(), call.arguments[self.host.sample].device
        if self._run is None or not self._run.goes_on(scheduler, call):
            self._run = _Run(self.host, scheduler, call)
            self.references.bank.begin_run()
        run, plan = self._run, self._run.plan(call, self.rows)
        step = run.step(scheduler, call)
        at = run.timesteps[step] if self.level is None else run.levels.timestep(self.level)
        reference_step = Step(at, run.size, self.layers, plan.with_outer(step), run.version, device)

        def recorded(reference_pass: Callable[[], object], names: Sequence[str]) -> dict[str, Tensor]:
            return record(processors, reference_pass, names, break_off=self.host.may_break_off)

        for processor in processors.values():
            processor.image_tokens, processor.positions = run.image_tokens, run.positions
        hidden = self.references.at(plan.images(step), reference_step, run.levels, recorded, call)
        for name, layer in self._seeing.items():
            processors[name].shown = plan.shown(step, hidden, layer)
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

    def __init__(self, host: Host, scheduler: SchedulerMixin, call: Call) -> None:
        self.host = host
        self.timesteps: list[float] = [float(t) for t in scheduler.timesteps.tolist()]
        self.levels = host.noise_levels(scheduler)
        self.version = host.version
        self.shape = call.arguments[host.sample].shape[1:]
        self.grid = host.grid(call)
        factor = host.pipeline.vae_scale_factor
        self.size = (self.grid[0] * factor, self.grid[1] * factor)
        self.image_tokens, self.positions = host.image_tokens(call), host.positions(call)
        self._schedule = scheduler.timesteps
        self._plans: dict[object, AttentionPlan] = {}
        self._last = -1

    def goes_on(self, scheduler: SchedulerMixin, call: Call) -> bool:
        """Whether a call belongs to this loop: the same timesteps and shape, and some are left."""
        return (
            scheduler.timesteps is self._schedule
            and call.arguments[self.host.sample].shape[1:] == self.shape
            and (self._last + 1 < len(self.timesteps) or _counted(scheduler) == self._last)
        )

    def plan(self, call: Call, rows: RowsOf) -> AttentionPlan:
        """What the samples of a call attend to; calls of one name and batch are alike."""
        sample = call.arguments[self.host.sample]
        key = (len(sample), call.name, *sorted(call.arguments))
        if key not in self._plans:
            of_batch = rows(call, len(self.timesteps))
            self._plans[key] = AttentionPlan(of_batch, sample.device, lambda image: image.fitted_mask(*self.grid))
        return self._plans[key]

    def step(self, scheduler: SchedulerMixin, call: Call) -> int:
        """Index of a call's evaluation: as the scheduler counts, else the next one of its timestep."""
        counted = _counted(scheduler)
        if counted is None or hasattr(scheduler, "ets"):
            value = self.host.timestep(call)
            later = [k for k in range(self._last + 1, len(self.timesteps)) if self.timesteps[k] == value]
            nearest = min(range(len(self.timesteps)), key=lambda k: abs(self.timesteps[k] - value))
            counted = later[0] if later else nearest
        self._last = int(counted)
        return self._last


def _counted(scheduler: SchedulerMixin) -> int | None:
    """Index of the evaluation as a scheduler counts; None where it does not, or not yet."""
    counted = getattr(scheduler, "step_index", None)
    return getattr(scheduler, "begin_index", None) if counted is None else counted


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
    level: Level = None,
    layers: Layers = None,
    guided: bool | None = None,
) -> Iterator[Steering]:
    """Within, every image of a pipeline is steered by feedback images; its task and its arguments are the caller's.

    Args:
        pipeline: of a family of `fabric.hosts`: text to image, image to image, inpainting, ControlNet, with LoRAs or
            IP-Adapters, offloaded or compiled. It is left as it was.
        params: FABRIC's settings; `prompt_dropout` and `guidance_scale` are arguments of the pipeline, not of these.
        liked: images to come closer to.
        disliked: images to keep away from. Where the pipeline has no unconditional pass, at guidance 1 or with FLUX.1,
            attention is turned away from them instead.
        round: that is generated, for `recency`.
        bank: keeps references' hidden states from call to call; one of its own by default.
        seed: of the references' noise.
        level: a fraction of the training timesteps, 0 to 1, at which all references are noised; "each" for the level of
            each step, None for what is usual in the family.
        layers: places of the layers in which references are seen, of all in the order of a call, as `range(19, 57)`;
            None for what is usual in the family.
        guided: for FLUX.1 and Qwen-Image, whose pipelines do not say so beforehand, whether they are called with
            `true_cfg_scale` above 1 and a negative prompt: then disliked pictures join that pass.

    Yields:
        What references receive can be asked of it afterwards: `received()`.

    Raises:
        ValueError: the pipeline is of no known family, or a value is out of range.
    """
    check_level(level)
    host = host_of(pipeline)
    if guided is not None:
        if host.says_guidance:
            raise ValueError(f"guided: {guided}; {host.family} says so itself; allowed: None")
        host.guided = guided
    settings = params or FabricParams()
    host.check(settings, (*liked, *disliked))
    rows_of(settings, liked, disliked, 1, round)  # raises what it would raise within

    def rows(call: Call, steps: int) -> list[Row]:
        by_role = dict(zip(Role, (*rows_of(settings, liked, disliked, steps, round), Row.apart(steps)), strict=True))
        return [by_role[role] for role in host.roles(call)]

    references = References(host, ReferenceBank() if bank is None else bank, seed)
    steering = Steering(host, references, lambda: pipeline.scheduler, rows, level, layers)
    with attached(host, steering):
        yield steering


def level_of(host: Host, level: Level) -> float | None:
    """The fraction that a level stands for in a family; None for the level of each step."""
    if level is None:
        return host.level
    return None if level == "each" else float(level)


def layers_of(host: Host, layers: Layers) -> range:
    """The layers that are meant in a family.

    Raises:
        ValueError: there are no such layers.
    """
    if layers is None:
        return host.usual_layers
    count = len(host.layers)
    if layers.step != 1 or not 0 <= layers.start <= layers.stop <= count:
        raise ValueError(f"layers: {layers.start}:{layers.stop} of {count}; allowed: 0:0 to 0:{count}, first to last")
    return layers


def check_level(level: Level) -> None:
    """Raises `ValueError` where a level is none."""
    if not (level is None or level == "each" or (isinstance(level, int | float) and 0 <= level <= 1)):
        raise ValueError(f"level: {level} is out of range; allowed: 0 to 1, each")
