"""What a session of the studio is begun with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config.schema import guidance_of
from experiments.studio.history.records import Making
from fabric.models import EMBEDDED
from fabric.params import FabricParams
from fabric.steering import Level


@dataclass(frozen=True)
class RoundOptions:
    """How a round is made.

    Attributes:
        images: of it.
        steps: denoising steps.
        size: height and width in pixels; the model's own by default.
        seed: of the first image, the others have those after it; None for seeds that no round had.
    """

    images: int
    steps: int
    size: tuple[int, int] | None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    """What a session is begun with.

    Attributes:
        folder: of study and pictures.
        model: see `fabric.models.load`, as the next five.
        scheduler: its name.
        device: the best there is by default.
        dtype: half precision on a GPU and single on the CPU by default.
        loras: files with their scales.
        model_config: of a single file.
        level: of the references' noise; see `fabric.feedback`, as the next.
        layers: in which references are seen, first and end.
        offload: whether references are kept in main memory.
        storage: URL of the study, `sqlite:///` in the folder by default.
        study: its name.
        images: of a round.
        steps: denoising steps.
        size: height and width in pixels; the model's own by default.
        guidance: of plain images; 4 for an embedded model, else 7; `experiments.config.family` knows that of others.
        seed: of everything.

    Raises:
        ValueError: something is out of range.
    """

    folder: Path
    model: str = EMBEDDED
    scheduler: str = "euler-a"
    device: str | None = None
    dtype: str | None = None
    loras: tuple[tuple[str, float], ...] = ()
    model_config: str | None = None
    level: Level = None
    layers: tuple[int, int] | None = None
    offload: bool = False
    storage: str | None = None
    study: str = "studio"
    images: int = 4
    steps: int = 12
    size: tuple[int, int] | None = None
    guidance: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images not in range(2, 17):
            raise ValueError(f"images: {self.images} is out of range; allowed: 2 to 16")
        FabricParams(guidance_scale=self.plain_guidance)

    @property
    def plain_guidance(self) -> float:
        """Of plain images."""
        return guidance_of(self.model) if self.guidance is None else self.guidance

    def of_round(self, making: Making | None) -> RoundOptions:
        """How a round is made: as the session was begun, but for what somebody said since."""
        if making is None:
            return RoundOptions(self.images, self.steps, self.size)
        return RoundOptions(
            making.images or self.images,
            making.steps or self.steps,
            making.size or self.size,
            None if making.seed is None else int(making.seed),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, in the form of a run's configuration; what older sessions lack only where it is given."""
        added = {"loras": dict(self.loras), "config": self.model_config, "level": self.level, "layers": self.layers}
        return {
            "model": {
                "name": self.model,
                "scheduler": self.scheduler,
                "device": self.device,
                "dtype": self.dtype,
                "offload": self.offload,
                **{name: value for name, value in added.items() if value not in (None, {})},
            },
            "images": self.images,
            "steps": self.steps,
            "size": None if self.size is None else list(self.size),
            "guidance": self.plain_guidance,
            "seed": self.seed,
            "storage": self.storage,
        }
