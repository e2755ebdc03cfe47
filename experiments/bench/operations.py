"""Floating-point operations, counted on the device meta: no numbers are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from fabric.attention import SeenReferences
from fabric.processor import FabricAttnProcessor, Group, ShownReferences

_SIDE = 64  # pixels, of which large models want multiples


def operations(call: Callable[[], object]) -> int:
    """Of matrix products, convolutions and attention in a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def steered_operations(
    call: Callable[[], object],
    processors: Mapping[str, FabricAttnProcessor],
    kept: Mapping[str, Tensor],
    references: int,
    seeing: slice,
) -> int:
    """Operations of a call in which some samples see references out of the bank.

    Args:
        call: of a model.
        processors: of its layers, by name.
        kept: what the bank holds of one reference in each layer that sees them, 1 x ...; all others are taken as alike.
        references: how many.
        seeing: samples that see all of them.
    """
    log_weight = torch.zeros(1, references, seeing.stop - seeing.start, device="meta")
    group = Group(seeing, SeenReferences(slice(0, references), log_weight))
    for name, state in kept.items():
        processors[name].shown = ShownReferences((state[0],) * references, (group,))
    try:
        return operations(call)
    finally:
        for processor in processors.values():
            processor.clear()


def check_pixels(pixels: int) -> None:
    """Checks the side of images, which is in range already.

    Raises:
        ValueError: large models do not make images of it.
    """
    if pixels % _SIDE:
        raise ValueError(f"pixels: {pixels} is out of range; allowed: 64 to 4096, multiples of {_SIDE}")
