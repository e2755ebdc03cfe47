"""`fabric-bo bench families`: what feedback costs on well-known transformers, counted, without weights or a GPU.

Counted are the floating-point operations of the transformer's matrix products and attention, at the family's usual
layers and level of noise. All pictures are liked: of a batch with classifier-free guidance the conditional half sees
them, without all of it does. Bytes are of half precision.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.operations import check_pixels, operations, steered_operations
from experiments.bench.options import check_ranges
from experiments.bench.transformer_layouts import TRANSFORMERS, TransformerLayout
from fabric.hook import record
from fabric.hosts.base import Call
from fabric.processor import FabricAttnProcessor

COLUMNS = ("model", "size", "pictures", "kept", "new", "GB of pictures", "GB of the transformer")
"""Ratios to an image without feedback: with references out of the bank, and with references that are all new, which are
passed through the model once where one level of noise serves all steps, else at every step. Then what the bank holds
after 20 steps, and what the transformer's weights take."""
_STEPS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--models", nargs="+", choices=TRANSFORMERS, default=list(TRANSFORMERS))
    parser.add_argument("--references", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--pixels", type=int, default=1024, help="side of square images")
    parser.add_argument("--batch", type=int, default=1)
    add_results_option(parser)


class FamilyCounter:
    """Counts calls of a transformer.

    Args:
        layout: of the model.
        pixels: side of the images.
        batch: images B.
    """

    def __init__(self, layout: TransformerLayout, pixels: int, batch: int) -> None:
        self.layout, self.size, self.batch = layout, (pixels, pixels), batch
        self.host = layout.host()
        self.samples = 2 * batch if self.host.classifier_free else batch
        self.layers = self.host.seen(self.host.usual_layers, outer=False)
        self.processors: dict[str, FabricAttnProcessor] = {}
        for layer in self.host.layers.values():
            module, processor = self.host.module_of(layer), FabricAttnProcessor(self.host.projector)
            processor.own, module.processor = module.processor, processor
            self.processors[layer.name] = processor

    def plain(self) -> int:
        """Operations of a call without feedback."""
        return operations(lambda: self._call(self.samples))

    def reference_pass(self, references: int) -> int:
        """Operations of the call that records references."""
        names = [layer.name for layer in self.layers]
        return operations(lambda: record(self.processors, lambda: self._call(references), names, break_off=True))

    def steered(self, references: int) -> int:
        """Operations of a call in which images see references out of the bank."""
        names = [layer.name for layer in self.layers]
        kept = record(self.processors, lambda: self._call(1), names, break_off=True)
        seeing = slice(self.samples - self.batch, self.samples)
        return steered_operations(lambda: self._call(self.samples), self.processors, kept, references, seeing)

    def _call(self, samples: int) -> object:
        """A call on the meta device; positions are worked out where there are numbers."""
        host, factor = self.host, self.host.pipeline.vae_scale_factor
        grid = (host.channels, self.size[0] // factor, self.size[1] // factor)

        def arguments(count: int, device: str) -> dict[str, Any]:
            told = {name: torch.zeros(count, *shape, device=device) for name, shape in self.layout.told.items()}
            sample = host.pack(torch.zeros(count, *grid, dtype=torch.bfloat16, device=device))
            return host.arguments(sample, torch.zeros((), device=device), told, [host.guidance] * count, self.size)

        call = Call(arguments(1, self.layout.places))
        image_tokens, positions = host.image_tokens(call), host.positions(call)
        for processor in self.processors.values():
            processor.image_tokens, processor.positions = image_tokens, positions
        with torch.no_grad():
            return host.predict(arguments(samples, "meta"))


def row(counter: FamilyCounter, references: int) -> list[Any]:
    """What `COLUMNS` says of a model and a number of references."""
    host, plain = counter.host, counter.plain()
    passes = _STEPS if host.level is None else 1
    kept = counter.steered(references) / plain
    new = kept + counter.reference_pass(references) * passes / _STEPS / plain
    bank = references * passes * host.kept_bytes(counter.size, host.usual_layers, outer=False)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in host.core.parameters())
    return [counter.layout.name, counter.size[0], references, kept, new, bank / 1e9, weights / 1e9]


def run(options: argparse.Namespace) -> int:
    """Prints the table.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"references": (1, 64), "pixels": (64, 4096), "batch": (1, 64)})
    check_pixels(options.pixels)
    print(f"operations of an image of {_STEPS} steps with feedback over one without, batch {options.batch}; see --help")
    print("".join(f"{name:>23}" for name in COLUMNS))
    rows = []
    for name in options.models:
        counter = FamilyCounter(TRANSFORMERS[name], options.pixels, options.batch)
        for references in options.references:
            rows.append(row(counter, references))
            print("".join(f"{value if isinstance(value, str | int) else f'{value:.3f}':>23}" for value in rows[-1]))
    keep_results("families", add_arguments, options, {"batch": options.batch, "columns": COLUMNS, "rows": rows})
    return 0
