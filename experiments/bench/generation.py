"""`fabric-bo bench generation`: what feedback costs, as ratios to plain diffusers measured side by side in one run.

The baseline is the official algorithm (https://github.com/sd-fabric/fabric) with the attention kernel that ours has: a
reference pass at every step, and keys and values projected for every element of the batch.

Notation:
    B: images in a batch, R: references, all liked and active at every step.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from PIL import Image
from torch import Tensor

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.layouts import SD15
from experiments.bench.memory import peak_memory
from experiments.bench.options import check_ranges
from experiments.training.trainer import seeded
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage
from fabric.models import EMBEDDED, checked_device, load
from fabric.params import FabricParams
from fabric.seeding import generator_for

COLUMNS = (
    *("batch", "references", "plain ms", "warm", "no outer", "cold", "official", "off./warm", "varied/same"),
    *("plain MB", "warm MB", "bank MB"),
)
_PROMPT = "a red star"
_WEIGHT = 0.8
_GUIDANCE = 4.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--references", type=int, nargs="+", default=[0, 1, 2, 4, 8])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which all contenders are timed in turn")
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is by default")
    parser.add_argument(
        "--sd15", action="store_true", help="Stable Diffusion 1.5's layout with random weights, 512 x 512"
    )
    add_results_option(parser)


class OfficialAttention:
    """The official algorithm's attention: references' hidden states are joined to every sample, then projected."""

    def __init__(self, state: dict[str, Any], name: str) -> None:
        self.state = state
        self.name = name

    def __call__(self, attn: Attention, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Records, attends to references in the conditional half, or attends plainly."""
        hidden, mode = self.state["hidden"], self.state["mode"]
        if mode == "record":
            hidden[self.name] = hidden_states
        if mode != "attend":
            return _mix(attn, hidden_states, hidden_states, None)
        unconditional, conditional = hidden_states.chunk(2)
        batch, own, _ = conditional.shape
        references = hidden[self.name].flatten(0, 1).expand(batch, -1, -1)
        bias = torch.full((references.shape[1],), _WEIGHT).log().to(references)
        bias = F.pad(bias, (own, 0)).expand(batch, 1, own, -1)
        steered = _mix(attn, conditional, torch.cat([conditional, references], dim=1), bias)
        return torch.cat([_mix(attn, unconditional, unconditional, None), steered])


def _mix(attn: Attention, own: Tensor, tokens: Tensor, bias: Tensor | None) -> Tensor:
    query, key, value = (
        x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        for x in (attn.to_q(own), attn.to_k(tokens), attn.to_v(tokens))
    )
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))


@dataclass(frozen=True)
class Case:
    """One line of the table: batch and references."""

    batch: int
    references: int


class Contenders:
    """Three pipelines of the same weights: plain, ours, and the baseline."""

    def __init__(self, make: Callable[[], StableDiffusionPipeline], steps: int) -> None:
        self.steps = steps
        self.plain = make()
        self.fabric = FabricGenerator(make())
        self.official = make()
        self.state: dict[str, Any] = {"hidden": {}, "mode": "plain"}
        processors = self.official.unet.attn_processors
        self.official.unet.set_attn_processor(
            {n: OfficialAttention(self.state, n) if ".attn1." in n else p for n, p in processors.items()}
        )
        height, width = self.fabric.native_size
        noise = torch.rand(8, height, width, 3, generator=generator_for("bench")) * 255
        self.images = [FeedbackImage(Image.fromarray(x.byte().numpy())) for x in noise]

    def _sync(self) -> None:
        if self.plain.device.type == "cuda":
            torch.cuda.synchronize()

    def _time(self, act: Callable[[], object]) -> float:
        self._sync()
        began = time.perf_counter()
        act()
        self._sync()
        return (time.perf_counter() - began) / self.steps

    def plain_time(self, case: Case) -> float:
        """Seconds a step of plain diffusers, text and decoding counted in."""
        return self._time(lambda: self._diffusers(self.plain, case))

    def _diffusers(self, pipe: StableDiffusionPipeline, case: Case) -> None:
        pipe(
            [_PROMPT] * case.batch,
            num_inference_steps=self.steps,
            guidance_scale=_GUIDANCE,
            generator=[generator_for("bench", k) for k in range(case.batch)],
            output_type="pt",
        )

    def ours_time(self, case: Case, *, cold: bool = False, varied: bool = False, outer: float = 1.0) -> float:
        """Seconds a step of ours; `varied`: other settings for every image; `outer`: as official FABRIC has it."""
        if cold:
            self.fabric.bank.clear()
        liked = tuple(self.images[: case.references])
        params = FabricParams(strength=_WEIGHT, guidance_scale=_GUIDANCE, outer=outer)
        settings = [
            replace(params, strength=_WEIGHT + 0.1 * k, guidance_scale=3.0 + 0.2 * k, bottleneck=1 + 0.05 * k)
            if varied
            else params
            for k in range(case.batch)
        ]
        requests = [Request(_PROMPT, k, setting, liked) for k, setting in enumerate(settings)]
        return self._time(lambda: self.fabric(requests, self.steps))

    @torch.no_grad()
    def official_time(self, case: Case) -> float:
        """Seconds a step of the baseline: around plain diffusers, references are noised and passed at every step."""
        pipe, state, noise = self.official, self.state, generator_for("bench noise")
        pixels = torch.stack([image.pixels(*self.fabric.native_size) for image in self.images[: case.references]])
        forward = pipe.unet.forward

        def with_references(sample: Tensor, t: Tensor, encoder_hidden_states: Tensor, **options: Any) -> Any:
            clean = state["clean"]
            drawn = torch.randn(clean.shape, generator=noise).to(clean)
            noisy = pipe.scheduler.add_noise(clean, drawn, t[None])
            null = encoder_hidden_states[:1].expand(len(clean), -1, -1)
            state["mode"] = "record"
            forward(pipe.scheduler.scale_model_input(noisy, t), t, null)
            state["mode"] = "attend"
            return forward(sample, t, encoder_hidden_states, **options)

        def run() -> None:
            encoded = pipe.vae.encode(pixels.to(pipe.device, pipe.vae.dtype)).latent_dist.mean
            state["clean"] = encoded * pipe.vae.config.scaling_factor
            self._diffusers(pipe, case)

        pipe.unet.forward = with_references  # the baseline's own way, on a pipeline of its own
        try:
            return self._time(run)
        finally:
            del pipe.unet.forward
            state["mode"] = "plain"


def _sd15(device: str | None) -> StableDiffusionPipeline:
    """Stable Diffusion 1.5's U-Net with random weights; the codec's and the text encoder's share is small."""
    pipe = load(EMBEDDED, device="cpu")
    with seeded(0):
        unet = UNet2DConditionModel(**{**SD15.config, "cross_attention_dim": pipe.unet.config.cross_attention_dim})
    pipe.unet = unet
    place = checked_device(device)
    return pipe.to(place, torch.float16 if place.type == "cuda" else torch.float32)


def run(options: argparse.Namespace) -> int:
    """Prints the table.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"references": (0, 8), "batch": (1, 64), "steps": (1, 1000), "repeats": (1, 1000)})

    def make() -> StableDiffusionPipeline:
        return _sd15(options.device) if options.sd15 else load(EMBEDDED, device=options.device)

    contenders = Contenders(make, options.steps)
    print(f"{options.steps} steps, {contenders.plain.device}, {torch.get_num_threads()} threads")
    print("warm to official: time over plain diffusers, all layers but in `no outer`, which leaves the outermost out;")
    print("MB: peak memory of a run, and what the bank holds")
    print("".join(f"{name:>12}" for name in COLUMNS))
    rows: list[list[float]] = []
    for case in (Case(b, r) for b in options.batch for r in options.references):
        rows.append(_row(contenders, case, options.repeats))
        cells = [f"{count:>12}" for count in rows[-1][:2]] + [f"{rows[-1][2]:>12.1f}"]
        cells += [f"{ratio:>12.2f}" for ratio in rows[-1][3:-3]] + [f"{amount:>12.1f}" for amount in rows[-1][-3:]]
        print("".join(cells), flush=True)
    found = {
        "device": str(contenders.plain.device),
        "threads": torch.get_num_threads(),
        "columns": COLUMNS,
        "rows": [[None if math.isnan(value) else value for value in row] for row in rows],  # NaN is no JSON
    }
    keep_results("generation", add_arguments, options, found)
    return 0


def _row(contenders: Contenders, case: Case, repeats: int) -> list[float]:
    """What `COLUMNS` says of a case; medians of the repeats. NaN is memory that cannot be measured."""
    contenders.ours_time(case, cold=True)
    times = []
    for _ in range(repeats):
        plain, warm = contenders.plain_time(case), contenders.ours_time(case)
        inner, varied = contenders.ours_time(case, outer=0.0), contenders.ours_time(case, varied=True)
        official = contenders.official_time(case) if case.references else plain
        cold = contenders.ours_time(case, cold=True)
        ratios = (warm / plain, inner / plain, cold / plain, official / plain, official / warm, varied / warm)
        times.append((1e3 * plain, *ratios))
    device = contenders.plain.device
    memory = (
        peak_memory(lambda: contenders.plain_time(case), device),
        peak_memory(lambda: contenders.ours_time(case), device),
        contenders.fabric.bank.bytes,
    )
    return [
        case.batch,
        case.references,
        *(statistics.median(column) for column in zip(*times, strict=True)),
        *(amount / 1e6 for amount in memory),
    ]
