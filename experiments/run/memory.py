"""What memory a model and its references will take, as its configurations tell it; no weights are read."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator
from fabric.models import set_scheduler
from fabric.outline import Outline
from fabric.steering import Layers, Level


def outlined_generator(
    outline: Outline, scheduler: str | None = None, level: Level = None, layers: Layers = None
) -> FabricGenerator:
    """A generator that can check and forecast, but not generate.

    Args:
        outline: of its model.
        scheduler: name; that of the model's family by default.
        level: of the references' noise; see `fabric.feedback`.
        layers: in which references are seen, likewise.

    Raises:
        ValueError: the scheduler is unknown, or not for the family; or there are no such layers.
    """
    set_scheduler(outline.host.pipeline, scheduler or outline.scheduler)
    return FabricGenerator(outline.host.pipeline, reference_level=level, reference_layers=layers)


@dataclass(frozen=True)
class MemoryForecast:
    """What is needed at most.

    Attributes:
        weights: of all of the model's parts, bytes.
        pictures: liked and disliked ones that are kept.
        bank: that their references take, bytes.
        level: noise of the references; see `FabricGenerator.level`.
    """

    weights: int
    pictures: int
    bank: int
    level: float | None

    @classmethod
    def of(
        cls, outline: Outline, fabric: FabricGenerator, pictures: int, steps: int, size: tuple[int, int], *, outer: bool
    ) -> MemoryForecast:
        """Of pictures that are all seen at all steps; see `FabricGenerator.bytes_of`."""
        needed = fabric.bytes_of(pictures, steps, size, outer=outer)
        return cls(outline.weight_bytes, pictures, needed, fabric.level)

    def __str__(self) -> str:
        level = "each step" if self.level is None else f"{self.level:g} in all steps"
        holds, budget = "", ReferenceBank().budget
        if self.bank > budget:
            holds = f"; the bank holds {budget / 1e9:.1f} GB, the rest is computed again"
        weights, bank = f"{self.weights / 1e9:.3g} GB", f"{self.bank / 1e9:.3g} GB"
        count = f"{self.pictures} picture{'' if self.pictures == 1 else 's'}"
        return f"weights {weights}; references {bank}: {count} at the noise of {level}{holds}"
