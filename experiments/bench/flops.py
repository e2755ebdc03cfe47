"""`fabric-bo bench flops`: what feedback costs on Stable Diffusion 1.5 and XL, counted, without weights or a GPU.

Counted are the floating-point operations of the U-Net's matrix products, convolutions and attention in one step. All
pictures are liked: the conditional half of the batch sees all of them.

Notation:
    B: images in a batch, so 2 B samples with classifier-free guidance; R: references.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.layouts import LAYOUTS, UNetLayout
from experiments.bench.operations import check_pixels, operations, steered_operations
from experiments.bench.options import check_ranges
from fabric.hook import record
from fabric.hosts.unet import self_attention_layers
from fabric.processor import FabricAttnProcessor, Layer

COLUMNS = (
    *("model", "size", "pictures", "kept", "kept, all layers", "new", "new, all layers", "authors' code"),
    *("GB for 20 steps", "GB, all layers"),
)
"""Ratios to the same step without feedback: with references out of the bank and with references that are all new, each
without the outermost layers (`outer=0`, the default) and with all of them; the authors' algorithm, which computes
references at every step. Last what the bank holds after 20 steps in half precision, gigabytes."""
_STEPS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--models", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--references", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--pixels", type=int, nargs="+", default=[512, 1024], help="sides of square images")
    parser.add_argument("--batch", type=int, default=4)
    add_results_option(parser)


class Counter:
    """Counts calls of a model's U-Net.

    Args:
        layout: of the model.
        pixels: side of the images.
        batch: images B.
    """

    def __init__(self, layout: UNetLayout, pixels: int, batch: int) -> None:
        self.layout, self.pixels, self.batch = layout, pixels, batch
        self.unet: UNet2DConditionModel = layout.unet()
        self.layers: Mapping[str, Layer] = self_attention_layers(self.unet)
        self.processors = {name: FabricAttnProcessor() for name in self.layers}
        self.unet.set_attn_processor({**self.unet.attn_processors, **self.processors})

    def plain(self, samples: int | None = None) -> int:
        """Operations of a call without feedback; of 2 B samples by default."""
        return operations(lambda: self._call(2 * self.batch if samples is None else samples))

    def reference_pass(self, references: int, *, outer: bool) -> int:
        """Operations of the call that records references."""
        names = [name for name, layer in self.layers.items() if outer or not layer.outermost]
        return operations(lambda: record(self.processors, lambda: self._call(references), names, break_off=True))

    def steered(self, references: int, *, outer: bool) -> int:
        """Operations of a call whose conditional half sees references out of the bank."""
        samples = 2 * self.batch
        kept = {name: state for name, state in self.states.items() if outer or not self.layers[name].outermost}
        seeing = slice(self.batch, samples)
        return steered_operations(lambda: self._call(samples), self.processors, kept, references, seeing)

    def joined(self, references: int) -> int:
        """Operations of the authors' call: references are projected anew for every sample that sees them."""
        further = 0
        for state in self.states.values():
            _, tokens, width = state.shape
            projections = 2 * 2 * references * tokens * width * width
            attention = 2 * 2 * tokens * references * tokens * width
            further += self.batch * (projections + attention)
        return self.plain() + further

    @cached_property
    def states(self) -> dict[str, torch.Tensor]:
        """Hidden states of one reference in front of every self-attention layer, 1 x L x C."""
        return record(self.processors, lambda: self._call(1), list(self.layers), break_off=False)

    def _call(self, samples: int) -> object:
        with torch.no_grad():
            return self.unet(**self.layout.call(samples, self.pixels))


def row(counter: Counter, references: int) -> list[Any]:
    """What `COLUMNS` says of a model, a size and a number of references."""
    plain = counter.plain()
    kept = [counter.steered(references, outer=outer) for outer in (False, True)]
    passes = [counter.reference_pass(references, outer=outer) for outer in (False, True)]
    new = [steered + added for steered, added in zip(kept, passes, strict=True)]
    authors = counter.joined(references) + counter.plain(references)
    ratios = [operations / plain for operations in (*kept, *new, authors)]
    sizes = {name: 2 * state.numel() * references * _STEPS / 1e9 for name, state in counter.states.items()}
    inner = sum(size for name, size in sizes.items() if not counter.layers[name].outermost)
    return [counter.layout.name, counter.pixels, references, *ratios, inner, sum(sizes.values())]


def run(options: argparse.Namespace) -> int:
    """Prints the table.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"references": (1, 64), "pixels": (64, 4096), "batch": (1, 64)})
    for pixels in options.pixels:
        check_pixels(pixels)
    print(f"operations of a step with feedback over one without, batch {options.batch} with guidance; see --help")
    print("".join(f"{name:>17}" for name in COLUMNS))
    rows = []
    for layout in (LAYOUTS[name] for name in options.models):
        for pixels in options.pixels:
            counter = Counter(layout, pixels, options.batch)
            for references in options.references:
                rows.append(row(counter, references))
                print("".join(f"{value if isinstance(value, str | int) else f'{value:.2f}':>17}" for value in rows[-1]))
    keep_results("flops", add_arguments, options, {"batch": options.batch, "columns": COLUMNS, "rows": rows})
    return 0
